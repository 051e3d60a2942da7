#[guard]
fn main() {
    println!("in main");
    std::process::exit(9);
}
