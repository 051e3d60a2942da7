use std::time::Duration;

struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}
#[guard]
async fn job(a: D) {
    println!("in job {}", a.0);
    std::future::pending::<()>().await;
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    tokio::select! {
        () = job(D("a")) => println!("out done"),
        () = tokio::time::sleep(Duration::from_millis(50)) => println!("out late"),
    }
}
