#[guard]
pub fn job(text: String) -> String {
    drop(text);
    text
}
