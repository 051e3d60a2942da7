#[guard]
#[tokio::main(flavor = "current_thread")]
async fn main() {
    tokio::task::yield_now().await;
    println!("in main");
}
