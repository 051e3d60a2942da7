const N: usize = 2;

#[guard]
fn job() -> [u8; N + 1] {
    println!("in job");
    [1; N + 1]
}

fn main() {
    println!("out {:?}", job());
}
