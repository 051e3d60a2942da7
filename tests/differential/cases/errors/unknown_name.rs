#[guard]
pub fn job(number: u8) -> u8 {
    numbr + unknown()
}
