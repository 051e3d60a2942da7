#[guard]
pub fn job(numbers: &Vec<u8>) {
    numbers.push(1);
}
