use std::fmt::Debug;

#[guard]
fn job() -> [impl Debug; 2] {
    println!("in job");
    [1, 2]
}

fn main() {
    println!("out {:?}", job());
}
