#[guard]
pub fn job() -> u8 {
    let number = std::env::args().count() as u8;
    number
}
