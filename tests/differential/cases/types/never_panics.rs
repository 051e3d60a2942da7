#[guard]
fn main() -> ! {
    println!("in main");
    panic!("no way out")
}
