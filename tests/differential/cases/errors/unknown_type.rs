#[guard]
pub fn job(number: Unknown) -> AlsoUnknown {
    number
}
