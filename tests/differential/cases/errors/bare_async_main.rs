//@ program
#[guard]
async fn main() -> Result<(), std::num::ParseIntError> {
    std::future::ready(()).await;
    let _: u8 = "7".parse()?;
    Ok(())
}
