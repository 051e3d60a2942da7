#[guard]
pub fn job() -> &'static str {
    let text = String::new();
    &text
}
