#[guard]
pub fn job(text: &str) {
    drop(text);
    std::mem::forget(3);
}
