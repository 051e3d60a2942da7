#[guard]
pub fn job<'a>(one: &'a str, two: &str) -> &'a str {
    if one.is_empty() { two } else { one }
}
