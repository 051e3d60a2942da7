#[guard]
fn main() -> Result<(), std::num::ParseIntError> {
    let number: u8 = "7".parse()?;
    println!("in main {number}");
    let _: u8 = "seven".parse()?;
    Ok(())
}
