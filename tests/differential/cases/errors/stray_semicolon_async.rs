#[guard]
pub async fn job() -> u8 {
    7;
}
