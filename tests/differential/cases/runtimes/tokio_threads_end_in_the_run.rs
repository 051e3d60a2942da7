#[guard]
#[tokio::main]
async fn main() {
    tokio::task::spawn_blocking(|| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        println!("in the blocking thread");
    });
    println!("in main");
}
