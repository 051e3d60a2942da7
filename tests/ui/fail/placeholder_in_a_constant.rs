use guard_runtime::locked_pipeline;

const LOCK: &str = "{tenant}.lock";
const FINE: &str = "{{tenant}}.log";

#[locked_pipeline(lock = LOCK, log = FINE)]
fn job(tenant: &str) {}

fn main() {}
