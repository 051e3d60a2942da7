use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log", metrics = "/var/lib/node_exporter/a.txt")]
fn main() {}
