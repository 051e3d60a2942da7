use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log", timeout = "0s", survivors = "keep", kill_after = "soon")]
fn wrong_values() {}

#[locked_pipeline(lock = "a.lock", log = "a.log", timeout = 30, survivors = true, console = 1, on_end = 'c', status = 1)]
fn wrong_literals() {}

#[locked_pipeline(lock = "a.lock", log = "a.log", metrics = "a.txt", console = "never", on_end = " ")]
fn more_wrong_values() {}

fn main() {}
