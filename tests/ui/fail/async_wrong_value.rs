use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log")]
async fn job() -> Result<u8, String> {
    7
}

fn main() {}
