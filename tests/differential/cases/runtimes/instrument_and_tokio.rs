#[guard]
#[tokio::main]
#[tracing::instrument]
async fn main() -> Result<(), String> {
    tokio::task::yield_now().await;
    println!("in main");
    Ok(())
}
