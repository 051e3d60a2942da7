#[guard]
#[cfg_attr(unix, tokio::main)]
async fn main() {
    tokio::task::yield_now().await;
    println!("in main");
}
