#[guard]
#[async_std::main]
async fn main() -> Result<(), std::num::ParseIntError> {
    async_std::task::yield_now().await;
    println!("in main");
    Ok(())
}
