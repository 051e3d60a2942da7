use std::fmt::Debug;

#[guard]
fn job() -> impl Debug {
    println!("in job");
    (1, "two")
}

fn main() {
    println!("out {:?}", job());
}
