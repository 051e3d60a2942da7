#[guard]
pub async fn job(mut numbers: Vec<u8>, mut text: String) -> usize {
    text.push('a');
    numbers.len()
}
