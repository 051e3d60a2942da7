#[guard]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("in main");
    let _: u8 = "seven".parse()?;
    Ok(())
}
