use std::pin::Pin;

#[guard]
fn job() -> Pin<Box<dyn Iterator<Item = u8>>> {
    println!("in job");
    Box::pin(1..3)
}

fn main() {
    println!("out {}", job().count());
}
