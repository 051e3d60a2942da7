//! Runs that end in unusual places.

use std::io::Write;
use std::time::Duration;

use guard_runtime::{Config, locked_pipeline};

use crate::support::{LOCK, LOG, close_all_from_three, line};

/// Ends the process by exit(3) at SIGTERM, in the handler.
fn exit_at_sigterm() {
    extern "C" fn exit(_: libc::c_int) {
        // SAFETY: none; user code does it.
        unsafe { libc::exit(3) };
    }
    // SAFETY: the handler is a plain function.
    unsafe { libc::signal(libc::SIGTERM, exit as *const () as usize) };
}

#[locked_pipeline(lock = LOCK, log = LOG, max_size = "1GB")]
pub(crate) fn exit_in_handler_amid_records() {
    exit_at_sigterm();
    let mut number = 0_u64;
    loop {
        log::info!("record {number}");
        number += 1;
    }
}

#[locked_pipeline(lock = LOCK, log = LOG, max_size = "1GB")]
pub(crate) fn exit_in_handler_amid_lines() {
    exit_at_sigterm();
    let mut number = 0_u64;
    loop {
        println!("printed {number}");
        number += 1;
    }
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn exit_in_handler_amid_the_end(lines: u64) {
    exit_at_sigterm();
    (0..lines).for_each(|number| println!("{}", line(number)));
}

fn start_idle_thread() {
    std::thread::spawn(|| std::thread::sleep(Duration::from_secs(3600)));
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn exit_under_own_lock() {
    start_idle_thread();
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(b"whole\nunfinished").unwrap();
    std::process::exit(6);
}

pub(crate) fn finish_under_own_lock() {
    start_idle_thread();
    let guard = Config::new(LOCK, LOG).start().unwrap();
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(b"whole\nunfinished").unwrap();
    guard.finish(guard_runtime::Outcome::Finished);
    drop(stdout);
}

fn forbid_processes() {
    let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a limit of this process's own.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit) }, 0);
    std::thread::Builder::new().spawn(|| ()).expect_err("no further thread");
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn unfinished_without_threads() {
    print_without_threads();
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn exit_without_threads() {
    print_without_threads();
    std::process::exit(0);
}

fn print_without_threads() {
    start_idle_thread();
    forbid_processes();
    print!("whole\nunfinished");
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn exec() {
    println!("before");
    let error = std::os::unix::process::CommandExt::exec(&mut std::process::Command::new("true"));
    panic!("{error}");
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn underscore_exit(code: i32) {
    println!("before");
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) };
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn daemonize() {
    println!("before");
    // SAFETY: the process has one thread.
    assert_eq!(unsafe { libc::daemon(1, 1) }, 0);
    crate::allocator::allow_this_process();
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn close_from_and_return() {
    println!("before");
    close_all_from_three();
}

/// So many microseconds pass between the two.
pub(crate) fn exit_beside_a_start(microseconds: u64) {
    std::thread::spawn(|| {
        let guard = Config::new(LOCK, LOG).start();
        std::thread::sleep(Duration::from_secs(3600));
        drop(guard);
    });
    std::thread::sleep(Duration::from_micros(microseconds));
    std::process::exit(0);
}
