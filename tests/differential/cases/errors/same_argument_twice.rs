#[guard]
pub fn job(number: u8, number: u8) -> u8 {
    number
}
