#[guard]
#[tokio::main]
async fn main() -> Result<(), std::fmt::Error> {
    let _: u8 = "7".parse()?;
    Ok(())
}
