use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log")]
#[locked_pipeline(lock = "b.lock", log = "b.log")]
fn main() {}
