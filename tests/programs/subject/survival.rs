//! Every way for a run to end.

use std::process::ExitCode;
use std::sync::atomic::Ordering;

use guard_runtime::locked_pipeline;

use crate::support::{LOCK, LOG, SHELL_WAIT, counters, directory, line, shell, wait_for_go, wait_for_stdin};

/// So many backups that none goes before the test kills it, however late that is.
#[locked_pipeline(lock = LOCK, log = LOG, backups = 400)]
pub(crate) fn count(threads: u64) {
    let counters = counters();
    std::thread::scope(|scope| {
        for (thread, counter) in counters.iter().enumerate().take(threads as usize) {
            scope.spawn(move || {
                for number in 0.. {
                    println!("{thread} {}", line(number));
                    counter.store(number + 1, Ordering::SeqCst);
                }
            });
        }
    });
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn end_by(lines: u64, end: fn()) {
    (0..lines).for_each(|number| println!("{}", line(number)));
    end();
}

pub(crate) fn abort(lines: u64) {
    end_by(lines, || std::process::abort());
}

pub(crate) fn panic(lines: u64) {
    end_by(lines, || panic!("at the disco"));
}

pub(crate) fn segfault(lines: u64) {
    // SAFETY: none; a segmentation fault is the point.
    end_by(lines, || unsafe { std::ptr::null_mut::<u8>().write_volatile(1) });
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn exit(lines: u64) {
    (0..lines).for_each(|number| println!("{}", line(number)));
    std::process::exit(3);
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn fail() -> Result<(), String> {
    Err("disk on fire".into())
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn code() -> ExitCode {
    ExitCode::from(3)
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn two_exits() {
    println!("before");
    let other = std::thread::spawn(|| std::process::exit(9));
    std::thread::spawn(|| std::process::exit(9));
    other.join().unwrap();
}

/// A thread that ends the process while `main` waits for the console to have what it printed.
#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn exit_beside_the_end(lines: u64) {
    std::thread::spawn(|| {
        wait_for_go();
        std::fs::write(directory().join("exits"), "").unwrap();
        std::process::exit(9);
    });
    (0..lines).for_each(|number| println!("{}", line(number)));
}

/// Threads that print lines until the process is told to end.
#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn crowd(threads: u64) {
    for thread in 0..threads {
        std::thread::spawn(move || {
            for number in 0_u64.. {
                println!("{thread} {number}");
            }
        });
    }
    wait_for_stdin();
    std::process::exit(4);
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn fail_long() -> Result<(), String> {
    shell(&format!("({SHELL_WAIT}) &"));
    Err("x".repeat(400_000))
}
