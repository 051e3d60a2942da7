#[guard]
fn main() {
    println!("in main");
    "seven".parse::<u8>().unwrap();
}
