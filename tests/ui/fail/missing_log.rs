use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock")]
fn main() {}
