#[guard]
fn job<'a>(numbers: &'a [u8; 3]) -> &'a [u8] {
    println!("in job");
    numbers
}

fn main() {
    println!("out {:?}", job(&[1, 2, 3]));
}
