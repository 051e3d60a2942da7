#[guard]
fn main() {
    println!("in main");
    std::thread::spawn(|| std::process::exit(11)).join().unwrap();
}
