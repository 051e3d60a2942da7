use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log", on_end = " ")]
fn main() {}
