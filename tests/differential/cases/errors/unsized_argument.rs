#[guard]
pub fn job(text: str) -> usize {
    text.len()
}
