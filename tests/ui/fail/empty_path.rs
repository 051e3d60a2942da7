use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "", log = "a.log")]
fn main() {}
