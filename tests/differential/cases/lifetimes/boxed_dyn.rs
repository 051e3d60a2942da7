#[guard]
fn job<'a>(numbers: &'a [u8]) -> Box<dyn Iterator<Item = u8> + 'a> {
    println!("in job");
    Box::new(numbers.iter().copied())
}

fn main() {
    println!("out {}", job(&[1, 2]).count());
}
