use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log", kill_after = "10s")]
fn alone() {}

#[locked_pipeline(lock = "a.lock", log = "a.log", kill_after = "10s", survivors = "hold")]
fn with_hold() {}

fn main() {}
