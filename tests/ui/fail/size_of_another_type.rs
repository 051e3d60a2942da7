use guard_runtime::locked_pipeline;

const SIZE: usize = 4096;

#[locked_pipeline(lock = "a.lock", log = "a.log", max_size = SIZE)]
fn main() {}
