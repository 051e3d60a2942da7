#[guard]
pub fn job(text: &str) {
    std::thread::spawn(move || println!("{text}"));
}
