#[guard]
pub fn job() -> usize {
    let text = String::from("a").as_str();
    text.len()
}
