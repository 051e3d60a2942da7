#[guard]
fn main() {
    println!("in main");
    let numbers: Vec<u8> = vec![];
    println!("in {}", numbers[0]);
}
