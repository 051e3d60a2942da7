#[guard]
pub fn job(a: bool) -> u8 {
    if a {
        return 7;
    }
}
