use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log", console = "quiet")]
fn main() {}
