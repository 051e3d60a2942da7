#[guard]
pub fn job() -> Result<u8, std::fmt::Error> {
    let number: u8 = "7".parse()?;
    Ok(number)
}
