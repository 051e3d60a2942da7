#[guard]
fn job(numbers: &mut Vec<u8>) -> &mut u8 {
    println!("in job");
    numbers.push(1);
    numbers.last_mut().unwrap()
}

fn main() {
    let mut numbers = vec![];
    *job(&mut numbers) += 1;
    println!("out {numbers:?}");
}
