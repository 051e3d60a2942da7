macro_rules! shown {
    () => { impl std::fmt::Debug };
}

#[guard]
fn job() -> shown!() {
    println!("in job");
    1
}

fn main() {
    println!("out {:?}", job());
}
