#[cfg(test)]
use rstest::fixture;

#[guard]
fn job() -> u8 {
    println!("in job");
    7
}

fn main() {
    println!("out {}", job());
}
