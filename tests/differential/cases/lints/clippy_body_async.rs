#[guard]
pub async fn job(numbers: &[u8]) -> bool {
    for index in 0..numbers.len() {
        println!("{}", numbers[index]);
    }
    if numbers.len() == 0 {
        return true;
    }
    let text = String::from("a").clone();
    return text == "a".to_string();
}
