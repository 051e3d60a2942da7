#[guard]
async fn job() -> u8 {
    7
}
