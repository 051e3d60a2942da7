#[guard]
fn job<const N: usize>() -> [u8; N] {
    println!("in job {N}");
    [1; N]
}

fn main() {
    println!("out {:?}", job::<3>());
}
