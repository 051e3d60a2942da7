//! Limits, and buffers of the C library.

use std::time::Duration;

use guard_runtime::locked_pipeline;

use crate::support::{LOCK, LOG};

/// A user whose pipes have reached their limit (pipe(7)): further ones hold a page or two.
pub(crate) fn pipes_used_up(lines: u64) {
    let mut large = 0;
    loop {
        let mut ends = [0; 2];
        // SAFETY: two descriptors are written; they stay open.
        let result = unsafe {
            assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
            libc::fcntl(ends[1], libc::F_SETPIPE_SZ, 1 << 20)
        };
        if result == -1 {
            break;
        }
        large += 1;
        assert!(large < 1000, "this user has no limit");
    }
    crate::log_file::flood(lines);
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn stdout_held() {
    println!("before");
    let (held, holds) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _stdout = std::io::stdout().lock();
        held.send(()).unwrap();
        std::thread::sleep(Duration::from_secs(3600));
    });
    holds.recv().unwrap();
    log::info!("after");
    std::process::exit(6);
}

/// Bytes in C's own buffer at the end.
#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn c_stdio(exit: u64) {
    // SAFETY: a string that ends with NUL.
    unsafe { libc::puts(c"from C".as_ptr()) };
    if exit != 0 {
        std::process::exit(0);
    }
}

/// A thread of C code reads standard input, and holds that stream's lock, when the run ends.
#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn c_reader() {
    std::thread::spawn(|| {
        let mut line = [0; 100];
        // SAFETY: the buffer has that room; the stream is this thread's.
        unsafe { libc::fgets(line.as_mut_ptr(), 100, libc::fdopen(0, c"r".as_ptr())) };
    });
    // SAFETY: a string that ends with NUL.
    unsafe { libc::puts(c"from C".as_ptr()) };
    let asleep = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        tasks.filter(|task| std::fs::read_to_string(task.path().join("wchan")).unwrap().contains("read")).count()
    };
    while asleep() == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Paths whose variable is not set, with a default that names the home directory.
#[locked_pipeline(lock = LOCK, log = "${SUBJECT_UNSET:-~/logs}/run.log")]
pub(crate) fn default_with_tilde() {
    println!("ran");
}

#[locked_pipeline(
    lock = "${SUBJECT_UNSET:-${SUBJECT_DIR}/locks}/run.lock",
    log = "${SUBJECT_UNSET:-$HOME/logs}/run.log"
)]
pub(crate) fn default_with_variable() {
    println!("ran");
}
