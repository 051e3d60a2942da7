use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = , log = "a.log")]
fn no_value() {}

#[locked_pipeline(lock: "a.lock", log = "a.log")]
fn colon() {}

#[locked_pipeline(lock = "a.lock" log = "a.log")]
fn no_comma() {}

#[locked_pipeline("a.lock", log = "a.log")]
fn no_name() {}

#[locked_pipeline(lock = "a.lock", log = "a.log", max_size = 5 MB, backups = "3")]
fn two_mistakes() {}

fn main() {}
