//! Runs that find the lock held.

use guard_runtime::locked_pipeline;

use crate::support::{LOCK, LOG};

#[locked_pipeline(lock = LOCK, log = LOG, wait = "5s")]
pub(crate) fn wait() {
    println!("mine");
}

#[locked_pipeline(lock = LOCK, log = LOG, stuck_after = "100ms")]
pub(crate) fn stuck() {
    println!("ran");
}

#[locked_pipeline(lock = LOCK, log = LOG, stuck_after = "1h")]
pub(crate) fn stuck_in_an_hour() {
    println!("ran");
}
