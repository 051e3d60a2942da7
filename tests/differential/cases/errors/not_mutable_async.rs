#[guard]
pub async fn job(numbers: Vec<u8>) {
    numbers.push(1);
}
