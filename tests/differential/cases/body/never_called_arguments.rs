#[guard]
fn job(call: impl FnOnce() -> u8, other: &dyn Fn(u8) -> u8) -> u8 {
    println!("in job");
    other(call())
}

fn main() {
    println!("out {}", job(|| 3, &|number| number + 1));
}
