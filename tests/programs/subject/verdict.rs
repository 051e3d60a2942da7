//! Runs that tell how they ended, in every way there is.

use std::future::Future;
use std::io::Write;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use guard_runtime::locked_pipeline;

use crate::support::{LOCK, LOG, line, wait_for_stdin};

/// A script that the test writes.
const HOOK: &str = ". $SUBJECT_DIR/hook.sh";

#[locked_pipeline(
    lock = LOCK,
    log = LOG,
    status = "${SUBJECT_DIR}/status.json",
    metrics = "${SUBJECT_DIR}/metrics/run.prom",
    on_end = HOOK
)]
fn told(how: &str) -> Result<(), String> {
    println!("about to end: {how}");
    end(how)
}

/// All of it.
#[locked_pipeline(
    lock = LOCK,
    log = LOG,
    status = "${SUBJECT_DIR}/status.json",
    metrics = "${SUBJECT_DIR}/metrics/run.prom",
    on_end = HOOK,
    console = "on_failure"
)]
fn all(how: &str) -> Result<(), String> {
    println!("about to end: {how}");
    end(how)
}

#[allow(clippy::needless_pass_by_value, reason = "a mode is given its arguments")]
pub(crate) fn end_all(how: String) -> Result<(), String> {
    all(&how)
}

#[allow(clippy::needless_pass_by_value, reason = "a mode is given its arguments")]
pub(crate) fn end_told(how: String) -> Result<(), String> {
    if how == "dropped" {
        assert!(pin!(dropped()).poll(&mut Context::from_waker(Waker::noop())).is_pending());
        return Ok(());
    }
    told(&how)
}

/// The holder counts as stuck at once.
#[locked_pipeline(lock = LOCK, log = LOG, stuck_after = "1ms", on_end = HOOK)]
pub(crate) fn find_stuck() {}

/// The same, and the console has it only if the run fails.
#[locked_pipeline(lock = LOCK, log = LOG, console = "on_failure")]
fn quiet(how: &str) -> Result<(), String> {
    println!("out 1");
    eprintln!("err 2");
    print!("out 3\r\x1b[1m");
    let _ = std::io::stdout().flush();
    log::info!("record 4");
    crate::support::shell("echo child 5; echo child 6 >&2");
    end(how)
}

#[allow(clippy::needless_pass_by_value, reason = "a mode is given its arguments")]
pub(crate) fn end_quiet(how: String) -> Result<(), String> {
    quiet(&how)
}

/// Prints so many lines at once, then goes on until the test says so.
#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn flood_then_wait(lines: u64) {
    (0..lines).for_each(|number| println!("{}", line(number)));
    std::fs::write(crate::support::directory().join("printed"), "").unwrap();
    crate::support::wait_for_go();
}

/// The same, which fails, and what it printed is shown then.
#[locked_pipeline(lock = LOCK, log = LOG, console = "on_failure")]
pub(crate) fn quiet_flood(lines: u64) -> Result<(), String> {
    (0..lines).for_each(|number| println!("{}", line(number)));
    std::fs::write(crate::support::directory().join("printed"), "").unwrap();
    crate::support::wait_for_go();
    Err("disk on fire".into())
}

#[locked_pipeline(lock = LOCK, log = LOG, status = "${SUBJECT_DIR}/status.json")]
pub(crate) fn hold_with_status() {
    println!("held");
    wait_for_stdin();
}

fn end(how: &str) -> Result<(), String> {
    match how {
        "well" => return Ok(()),
        "error" => return Err("disk on fire".into()),
        "panic" => panic!("at the disco"),
        "exit_0" => std::process::exit(0),
        "exit_3" => std::process::exit(3),
        "abort" => std::process::abort(),
        // SAFETY: none; a segmentation fault is the point.
        "segfault" => unsafe { std::ptr::null_mut::<u8>().write_volatile(1) },
        // SAFETY: ends the process.
        "leave_3" => unsafe { libc::_exit(3) },
        // SAFETY: a signal to this process.
        "sigkill_self" => drop(unsafe { libc::kill(libc::getpid(), libc::SIGKILL) }),
        // SAFETY: ends the process.
        "leave_0" => unsafe { libc::_exit(0) },
        "memory" => loop {
            std::hint::black_box(vec![1_u8; 1_000_000]).leak();
        },
        _ => wait_for_stdin(),
    }
    Ok(())
}

#[locked_pipeline(
    lock = LOCK,
    log = LOG,
    status = "${SUBJECT_DIR}/status.json",
    metrics = "${SUBJECT_DIR}/metrics/run.prom",
    on_end = HOOK
)]
async fn dropped() {
    println!("about to end: dropped");
    let mut first = true;
    std::future::poll_fn(|_| if std::mem::take(&mut first) { Poll::Pending } else { Poll::Ready(()) }).await;
}
