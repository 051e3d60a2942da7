use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log")]
fn job() -> Result<u8, String> {
    let number: u8 = "7";
    Ok(number)
}

fn main() {}
