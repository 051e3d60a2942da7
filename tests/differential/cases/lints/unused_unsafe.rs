#[guard]
pub fn job() -> u8 {
    unsafe { 7 }
}
