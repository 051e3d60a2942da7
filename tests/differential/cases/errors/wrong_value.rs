#[guard]
pub fn job() -> Result<u8, String> {
    7
}
