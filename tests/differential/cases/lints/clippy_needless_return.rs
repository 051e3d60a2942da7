#[guard]
pub fn job() -> u8 {
    return 7;
}
