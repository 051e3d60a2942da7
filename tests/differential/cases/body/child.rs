#[guard]
fn main() {
    let status = std::process::Command::new("sh").args(["-c", "echo in child; exit 3"]).status().unwrap();
    println!("in main {status}");
}
