#[guard]
pub fn job<'a>(text: &'a str) -> &'a str {
    text
}
