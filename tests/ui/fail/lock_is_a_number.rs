use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = 5, log = "a.log")]
fn main() {}
