#[guard]
fn job(text: &str) -> Result<impl Fn(&str) -> usize + use<>, std::num::ParseIntError> {
    println!("in job");
    let n: usize = text.parse()?;
    Ok(move |text| text.len() + n)
}

fn main() {
    println!("out {} {}", job("1").unwrap()("abc"), job("one").is_err());
}
