#[guard]
pub fn job(text: String) -> &'static str {
    text.as_str()
}
