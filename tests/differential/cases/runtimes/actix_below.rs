#[guard]
#[actix_rt::main]
async fn main() -> std::io::Result<()> {
    actix_rt::task::yield_now().await;
    println!("in main");
    Ok(())
}
