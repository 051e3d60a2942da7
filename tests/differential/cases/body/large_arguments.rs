#[guard]
fn job(numbers: [u64; 4096]) -> u64 {
    println!("in job");
    numbers.iter().sum()
}

fn main() {
    println!("out {}", job([1; 4096]));
}
