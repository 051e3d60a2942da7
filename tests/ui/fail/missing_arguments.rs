use guard_runtime::locked_pipeline;

#[locked_pipeline]
fn main() {}
