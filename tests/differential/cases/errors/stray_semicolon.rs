#[guard]
pub fn job() -> u8 {
    7;
}
