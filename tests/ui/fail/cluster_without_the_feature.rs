use guard_runtime::locked_pipeline;

#[locked_pipeline(
    lock = "a.lock",
    log = "a.log",
    cluster_lock = "${DATABASE_URL}",
    cluster_timeout = "15s",
    on_lock_lost = "tell"
)]
fn main() {}
