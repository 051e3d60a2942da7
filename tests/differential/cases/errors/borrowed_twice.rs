#[guard]
pub fn job(numbers: &mut Vec<u8>) {
    let first = &numbers[0];
    numbers.push(*first);
    println!("{first}");
}
