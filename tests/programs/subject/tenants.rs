//! A run for each tenant.

use guard_runtime::locked_pipeline;

use crate::support::{wait_for_go, wait_for_stdin};

#[locked_pipeline(lock = "${SUBJECT_DIR}/locks/{tenant}.lock", log = "${SUBJECT_DIR}/logs/{tenant}.log")]
fn of_tenant(tenant: &str) {
    println!("ran");
    log::info!("for {tenant}");
    wait_for_stdin();
}

/// No argument of a program can have a NUL in it: `\0` stands for it.
#[allow(clippy::needless_pass_by_value, reason = "a mode is given its arguments")]
pub(crate) fn sync(tenant: String) {
    of_tenant(&tenant.replace("\\0", "\0"));
}

pub(crate) fn sync_at_go(tenant: String) {
    wait_for_go();
    sync(tenant);
}
