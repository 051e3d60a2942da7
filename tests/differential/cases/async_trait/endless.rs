#[async_trait::async_trait]
trait Job {
    async fn run(&self);
}

struct S;

#[async_trait::async_trait]
impl Job for S {
    #[guard]
    async fn run(&self) {
        let mut rounds = 0;
        loop {
            tokio::task::yield_now().await;
            rounds += 1;
            if rounds == 3 {
                println!("in run");
                std::process::exit(3);
            }
        }
    }
}

#[tokio::main]
async fn main() {
    S.run().await;
}
