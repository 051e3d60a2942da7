use std::fmt::Debug;

#[guard]
fn job() -> Option<Vec<impl Debug>> {
    println!("in job");
    Some(vec![1, 2])
}

fn main() {
    println!("out {:?}", job());
}
