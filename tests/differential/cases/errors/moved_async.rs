#[guard]
pub async fn job(text: String) -> String {
    drop(text);
    text
}
