use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log", max_size = "5 apples")]
fn main() {}
