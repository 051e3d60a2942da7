use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "a.lock", log = "a.log")]
fn job() -> Result<u8, std::fmt::Error> {
    let number: u8 = "7".parse()?;
    Ok(number)
}

fn main() {}
