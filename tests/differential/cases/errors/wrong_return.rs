#[guard]
pub fn job(a: bool) -> Result<u8, String> {
    if a {
        return "a";
    }
    Ok(7)
}
