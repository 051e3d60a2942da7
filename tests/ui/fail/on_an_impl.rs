use guard_runtime::locked_pipeline;

struct Job;

#[locked_pipeline(lock = "a.lock", log = "a.log")]
impl Job {}

fn main() {}
