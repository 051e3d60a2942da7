use tokio::main as entry;

#[entry]
#[guard]
async fn main() {
    tokio::task::yield_now().await;
    println!("in main");
}
