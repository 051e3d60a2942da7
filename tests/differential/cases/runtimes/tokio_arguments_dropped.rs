struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}
#[guard]
#[tokio::main]
async fn job(a: D, _: D, _b: D) {
    tokio::task::yield_now().await;
    println!("in job {}", a.0);
}

fn main() {
    job(D("a"), D("b"), D("c"));
    println!("out after");
}
