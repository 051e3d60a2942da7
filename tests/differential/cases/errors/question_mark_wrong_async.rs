#[guard]
pub async fn job() -> Result<u8, std::fmt::Error> {
    let number: u8 = "7".parse::<u8>()?;
    Ok(number)
}
