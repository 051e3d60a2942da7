use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log", cluster_lock = 5432, on_lock_lost = true)]
fn main() {}
