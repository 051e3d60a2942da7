#[guard]
pub fn job(number: u8) -> u8 {
    let text: String = number;
    let other = missing;
    text.nothing()
}
