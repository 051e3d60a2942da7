#[guard]
pub fn job() {
    std::fs::remove_file("a");
    "a".to_owned();
}
