use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log", backups = 1000)]
fn main() {}
