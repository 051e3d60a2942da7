#[guard]
pub fn job(
    /// Not for an argument.
    number: u8,
) -> u8 {
    number
}
