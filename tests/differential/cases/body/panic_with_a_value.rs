#[guard]
fn main() {
    println!("in main");
    std::panic::panic_any(7_u8);
}
