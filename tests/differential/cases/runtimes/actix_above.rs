#[actix_rt::main]
#[guard]
async fn main() -> std::io::Result<()> {
    actix_rt::task::yield_now().await;
    println!("in main");
    Ok(())
}
