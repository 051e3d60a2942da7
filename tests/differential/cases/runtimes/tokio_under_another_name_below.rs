use tokio::main as entry;

#[guard]
#[entry]
async fn main() {
    tokio::task::yield_now().await;
    println!("in main");
}
