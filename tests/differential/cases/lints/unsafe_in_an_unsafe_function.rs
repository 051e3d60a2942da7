#[guard]
pub unsafe fn job(number: *const u8) -> u8 {
    *number
}
