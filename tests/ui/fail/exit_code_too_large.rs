use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log", conflict_exit_code = 256)]
fn main() {}
