#[async_trait::async_trait]
trait Job: Sync {
    fn name(&self) -> &str;

    #[guard]
    async fn run(&self) -> usize {
        println!("in run");
        self.name().len()
    }
}

struct S;

impl Job for S {
    fn name(&self) -> &str {
        "abc"
    }
}

fn main() {
    println!("out {}", futures::executor::block_on(S.run()));
}
