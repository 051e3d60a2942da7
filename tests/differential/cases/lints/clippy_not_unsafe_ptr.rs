#[guard]
pub fn job(number: u8) -> u8 {
    let pointer = &raw const number;
    unsafe { *pointer }
}
