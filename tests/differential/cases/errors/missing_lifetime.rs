#[guard]
pub fn job(one: &str, two: &str) -> &str {
    if one.is_empty() { two } else { one }
}
