#[guard]
pub async fn job(Some(number): Option<u8>) -> u8 {
    number
}
