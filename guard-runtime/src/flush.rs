//! Flushes standard output at the end of a run, Rust's and C's, and does not wait for long for a thread that holds it.

use std::io::Write;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long another thread's hold of standard output is waited for.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How long it takes at most to find out that nobody holds it.
const SOON: Duration = Duration::from_millis(20);

pub(crate) fn flush_stdout() {
    flush_stdout_of_rust();
    flush_stdout_of_c();
}

fn flush_stdout_of_rust() {
    if is_single_threaded() {
        return flush_now();
    }
    // Whether somebody holds it cannot be asked (std keeps that to itself): a thread finds out.
    let (done, flushed) = mpsc::channel();
    let flush = move || {
        flush_now();
        let _ = done.send(());
    };
    if std::thread::Builder::new().name("guard-flush".into()).stack_size(64 * 1024).spawn(flush).is_err() {
        // No further thread may be started, nor a process.
        return flush_now();
    }
    if flushed.recv_timeout(SOON).is_ok() {
        return;
    }
    if is_held_by_this_thread() {
        // The other one waits on.
        return flush_now();
    }
    let _ = flushed.recv_timeout(TIMEOUT);
}

fn flush_now() {
    let _ = std::io::stdout().flush();
}

/// Then nobody else can hold a lock, and no thread need be started to find out.
fn is_single_threaded() -> bool {
    // A directory has a link from its parent, one from itself, and one from each of its directories: the threads.
    cfg!(target_os = "linux") && rustix::fs::stat("/proc/self/task").is_ok_and(|stat| stat.st_nlink <= 3)
}

/// Whether standard output is this thread's own. A forked copy of the thread tries to take it: what this thread holds it may
/// take again, and what another one holds nobody lets go of there.
#[cfg(all(target_os = "linux", not(guard_portable)))]
#[allow(unsafe_code)]
fn is_held_by_this_thread() -> bool {
    // Made on first use, which takes memory: not in the copy.
    let stdout = std::io::stdout();
    let _blocked = guard_collector::Blocked::all();
    // SAFETY: the copy takes one lock, for which it may wait in vain, and ends; it does not allocate.
    let child = match unsafe { guard_collector::fork(guard_collector::sys::Parent::Caller) } {
        Ok(Some(child)) => child.as_raw_pid(),
        Ok(None) => {
            let _stdout = stdout.lock();
            guard_collector::sys::exit(0)
        }
        Err(_) => return false,
    };
    let mut status = -1;
    let start = Instant::now();
    // SAFETY: waits for the child forked above, which is ended where it waits in vain.
    unsafe {
        while libc::waitpid(child, &raw mut status, libc::__WALL | libc::WNOHANG) == 0 {
            if start.elapsed() > TIMEOUT / 2 {
                libc::kill(child, libc::SIGKILL);
                libc::waitpid(child, &raw mut status, libc::__WALL);
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    status == 0
}

/// A child cannot be waited for there without being seen by the program's own waits.
#[cfg(not(all(target_os = "linux", not(guard_portable))))]
fn is_held_by_this_thread() -> bool {
    false
}

/// exit(3) does that too, but after our own handler. Standard output alone: to flush all of C's streams would wait for a
/// thread that reads one of them, with the lock held that exit(3) and fopen(3) need. Takes no memory, so that a signal
/// handler may come here by way of exit(3).
#[allow(unsafe_code)]
pub(crate) fn flush_stdout_of_c() {
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
    {
        unsafe extern "C" {
            #[cfg_attr(not(target_os = "linux"), link_name = "__stdoutp")]
            static stdout: *mut libc::FILE;
            fn ftrylockfile(file: *mut libc::FILE) -> libc::c_int;
            fn funlockfile(file: *mut libc::FILE);
        }
        let start = Instant::now();
        // SAFETY: the C library's own stream, which lives as long as the process; unlocked as often as it is locked.
        unsafe {
            // What this thread holds itself it gets again.
            while ftrylockfile(stdout) != 0 {
                if start.elapsed() > TIMEOUT {
                    return;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            libc::fflush(stdout);
            funlockfile(stdout);
        }
    }
}
