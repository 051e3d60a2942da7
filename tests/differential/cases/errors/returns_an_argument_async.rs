#[guard]
pub async fn job(text: String) -> &'static str {
    text.as_str()
}
