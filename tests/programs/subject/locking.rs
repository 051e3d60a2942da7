//! Runs that hold the lock, and several runs of one process.

use guard_runtime::locked_pipeline;

use crate::support::{LOCK, LOG, SHELL_WAIT, line, shell, wait_for_stdin};

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn hold(lines: u64) {
    (0..lines).for_each(|number| println!("{}", line(number)));
    println!("held");
    wait_for_stdin();
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn background() {
    shell(&format!("({SHELL_WAIT}; echo later; echo alive >$SUBJECT_DIR/survived) &"));
    println!("main is done");
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn nothing() {}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn nested() {
    let error = guard_runtime::Config::new("${SUBJECT_DIR}/b.lock", "${SUBJECT_DIR}/b.log").start().unwrap_err();
    println!("{error}");
    nothing();
}

pub(crate) fn twice() {
    nothing();
    nothing();
}
