macro_rules! leave {
    ($value:expr) => { return $value };
}

#[guard]
fn job() -> u8 {
    println!("in job");
    leave!(7);
}

fn main() {
    println!("out {}", job());
}
