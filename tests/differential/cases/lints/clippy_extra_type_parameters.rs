#[guard]
pub fn job<T>() -> u8 {
    7
}
