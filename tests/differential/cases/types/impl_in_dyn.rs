use std::fmt::Debug;

#[guard]
fn job() -> Box<dyn Iterator<Item = impl Debug>> {
    println!("in job");
    Box::new([1, 2].into_iter())
}

fn main() {
    println!("out {:?}", job().collect::<Vec<_>>());
}
