use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log")]
fn job() -> u8 {
    7;
}

fn main() {}
