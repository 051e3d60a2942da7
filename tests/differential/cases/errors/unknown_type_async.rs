#[guard]
pub async fn job(number: Unknown) -> AlsoUnknown {
    number
}
