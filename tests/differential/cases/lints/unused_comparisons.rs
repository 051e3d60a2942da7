#[guard]
pub fn job(number: u8) -> bool {
    number >= 0
}
