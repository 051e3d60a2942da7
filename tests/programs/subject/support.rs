//! What several modes share: paths, the test's signals, children, counters.

use std::io::Read;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::allocator;

pub(crate) const LOCK: &str = "${SUBJECT_DIR}/locks/run.lock";
pub(crate) const LOG: &str = "${SUBJECT_DIR}/logs/run.log";

/// Where the test wants everything.
pub(crate) fn directory() -> PathBuf {
    std::env::var_os("SUBJECT_DIR").expect("the test sets it").into()
}

/// The test has not said so yet, and is not gone.
pub(crate) fn is_to_wait() -> bool {
    let directory = directory();
    directory.exists() && !directory.join("go").exists()
}

pub(crate) fn wait_for_go() {
    while is_to_wait() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Until the test closes it, or sends something.
pub(crate) fn wait_for_stdin() {
    let _ = std::io::stdin().read(&mut [0]);
}

pub(crate) fn line(number: u64) -> String {
    format!("line {number:08} {}", "x".repeat(75))
}

/// Shared with the test: how many `println!`s have returned, by thread.
pub(crate) fn counters() -> &'static [AtomicU64; 64] {
    let path = directory().join("counters");
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let flags = libc::MAP_SHARED;
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&file);
    // SAFETY: the file has 512 bytes and stays; any bytes are counters.
    unsafe {
        let map = libc::mmap(std::ptr::null_mut(), 512, libc::PROT_READ | libc::PROT_WRITE, flags, descriptor, 0);
        assert!(map != libc::MAP_FAILED);
        &*map.cast()
    }
}

/// Forks a child without exec, which ends with the code that `body` returns. The process must have one thread.
pub(crate) fn fork_child(body: impl FnOnce() -> i32) -> libc::pid_t {
    // SAFETY: no other thread can have held a lock.
    let child = unsafe { libc::fork() };
    assert!(child != -1, "{}", std::io::Error::last_os_error());
    if child == 0 {
        allocator::allow_this_process();
        std::process::exit(body());
    }
    child
}

/// As a daemon does it that wants to start clean.
pub(crate) fn close_all_from_three() {
    // SAFETY: user code closes descriptors it does not know.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

/// What `wait_for_go` does, in a shell.
pub(crate) const SHELL_WAIT: &str = "while [ -d $SUBJECT_DIR -a ! -e $SUBJECT_DIR/go ]; do sleep 0.02; done";

/// Waits for the shell alone: what its script leaves in the background lives on, with the streams that it has inherited.
pub(crate) fn shell(script: &str) {
    assert!(Command::new("sh").args(["-c", script]).status().unwrap().success(), "{script}");
}

/// Signals that handlers have counted.
pub(crate) static SIGNALS: AtomicU64 = AtomicU64::new(0);

/// A timer's signal every millisecond, with a handler and without `SA_RESTART`.
pub(crate) fn start_signal_storm() {
    extern "C" fn count(_: libc::c_int) {
        SIGNALS.fetch_add(1, Ordering::Relaxed);
    }
    let millisecond = libc::timeval { tv_sec: 0, tv_usec: 1000 };
    // SAFETY: the handler adds to an atomic.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count as *const () as usize;
        libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut());
        let timer = libc::itimerval { it_interval: millisecond, it_value: millisecond };
        libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut());
    }
}
