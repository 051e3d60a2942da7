use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.log", log = "a.log")]
fn main() {}
