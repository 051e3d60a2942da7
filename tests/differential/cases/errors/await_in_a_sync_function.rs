#[guard]
pub fn job() -> u8 {
    std::future::ready(7).await
}
