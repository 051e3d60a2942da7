use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "${HOME/a.lock", log = "a.log")]
fn main() {}
