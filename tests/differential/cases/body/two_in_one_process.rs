#[guard(lock = "a.lock")]
fn one() -> u8 {
    println!("in one");
    1
}

#[guard(lock = "b.lock")]
fn two() -> u8 {
    println!("in two");
    2
}

fn main() {
    println!("out {}", one() + two() + one());
}
