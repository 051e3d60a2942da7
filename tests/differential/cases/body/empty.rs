#[guard]
fn main() {}
