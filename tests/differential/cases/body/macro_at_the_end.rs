macro_rules! seven {
    () => { 7 };
}

#[guard]
fn job() -> u8 {
    println!("in job");
    seven!()
}

fn main() {
    println!("out {}", job());
}
