#![warn(clippy::needless_pass_by_value, clippy::unused_async, clippy::cognitive_complexity)]

#[guard]
pub fn one(numbers: &Vec<u8>) -> usize {
    numbers.len()
}

#[guard]
pub fn two(number: Box<u8>) -> u8 {
    *number
}

#[guard]
pub fn three(text: String) {
    println!("{text}");
}

#[guard]
pub async fn four() -> u8 {
    7
}

#[guard]
pub fn five<'a>(text: &'a str) -> &'a str {
    text
}
