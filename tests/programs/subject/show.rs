//! Runs whose configuration is asked for.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

use guard_runtime::{Config, locked_pipeline};

use crate::support::{LOCK, LOG};

/// Every argument there is without a feature, none as it is by default.
#[locked_pipeline(
    lock = "${SUBJECT_DIR}/locks/{tenant}.lock",
    log = "${SUBJECT_DIR}/logs/run.log",
    max_size = "512KiB",
    backups = 30,
    level = "debug",
    console_level = "warn",
    logger = false,
    tee = "stdout",
    console = "on_failure",
    wait = "30s",
    conflict_exit_code = 42,
    stuck_after = "6h",
    timeout = "1h30m",
    kill_after = "1m",
    survivors = "kill",
    status = "${SUBJECT_DIR}/status/{tenant}.json",
    metrics = "${SUBJECT_DIR}/metrics/run.prom",
    on_end = "echo $GUARD_STATE"
)]
#[allow(clippy::needless_pass_by_value, reason = "a mode is given its arguments")]
pub(crate) fn all(tenant: String) {
    println!("ran for {tenant}");
}

#[locked_pipeline(lock = "${SURELY_NOT_SET}/run.lock", log = LOG, status = "${NOR_THIS}.json")]
pub(crate) fn unset() {
    println!("ran");
}

#[locked_pipeline(lock = LOCK, log = LOG)]
async fn polled() {
    println!("ran");
}

pub(crate) fn later() {
    let future = pin!(polled());
    println!("made");
    assert!(future.poll(&mut Context::from_waker(Waker::noop())).is_ready());
    println!("polled");
}

pub(crate) fn built() {
    print!("printed before, ");
    let guard = Config::new(LOCK, LOG).backups(7).start().unwrap();
    println!("started");
    drop(guard);
}
