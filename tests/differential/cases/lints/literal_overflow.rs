#[guard]
pub fn job() -> u8 {
    let number: u8 = 256;
    number
}
