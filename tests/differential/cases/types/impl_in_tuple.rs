use std::fmt::Debug;

#[guard]
fn job() -> (impl Debug, impl Iterator<Item = u8>) {
    println!("in job");
    (1, 1..3)
}

fn main() {
    let (one, two) = job();
    println!("out {one:?} {}", two.count());
}
