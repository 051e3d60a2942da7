#[guard]
pub fn job(numbers: Vec<u8>) -> Vec<String> {
    numbers.iter().map(|number| number.to_string()).map(|text| String::from(text)).collect()
}
