use std::fmt::Display;

#[guard]
fn job(fine: bool) -> Result<Box<[impl Display]>, std::num::ParseIntError> {
    println!("in job");
    let number: u8 = if fine { "1" } else { "one" }.parse()?;
    Ok(vec![number].into())
}

fn main() {
    println!("out {} {}", job(true).unwrap().len(), job(false).is_err());
}
