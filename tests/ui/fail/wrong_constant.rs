use guard_runtime::locked_pipeline;

const SIZE: &str = "a lot";

#[locked_pipeline(lock = "a.lock", log = "a.log", max_size = SIZE)]
fn main() {}
