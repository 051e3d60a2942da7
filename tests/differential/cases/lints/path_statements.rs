#[guard]
pub fn job(a: u8) {
    a;
    3 + 4;
}
