use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log", timeout = "0s", survivors = "keep")]
fn wrong_values() {}

#[locked_pipeline(lock = "a.lock", log = "a.log", timeout = 5, survivors = true)]
fn wrong_types() {}

fn main() {}
