#[async_trait::async_trait]
trait Job {
    async fn run(&self, tenant: String) -> usize;
}

struct S;

#[async_trait::async_trait]
impl Job for S {
    #[guard(lock = "run-{tenant}.lock")]
    async fn run(&self, tenant: String) -> usize {
        println!("in run");
        tenant.len()
    }
}

fn main() {
    println!("out {}", futures::executor::block_on(S.run("abc".into())));
}
