#[tokio::main]
#[guard]
async fn main() -> Result<(), std::num::ParseIntError> {
    let number: u8 = tokio::spawn(async { "7".parse() }).await.unwrap()?;
    println!("in main {number}");
    Ok(())
}
