#[guard]
fn main() {
    let result = std::thread::spawn(|| panic!("no")).join();
    println!("in main {}", result.is_err());
}
