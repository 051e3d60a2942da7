#[guard]
pub async fn job() -> Result<u8, String> {
    7
}
