use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log", kill_after = "3s")]
fn kill_after() {}

#[locked_pipeline(lock = "a.lock", log = "a.log", kill_after = "3s", survivors = "hold")]
fn with_survivors_that_live() {}

#[locked_pipeline(lock = "a.lock", log = "a.log", cluster_timeout = "15s", on_lock_lost = "tell")]
fn cluster() {}

#[locked_pipeline(lock = "a.lock", log = "a.log", kill_after = "3s", survivors = "kill")]
fn fine() {}

fn main() {}
