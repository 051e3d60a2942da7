#[guard]
pub fn job(mut numbers: Vec<u8>, (mut a, b): (u8, u8)) -> usize {
    let mut local = a + b;
    numbers.len() + local as usize
}
