#[guard]
pub fn job(number: u8) -> u8 {
    number = 3;
    number
}
