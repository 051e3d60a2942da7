struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}
#[async_trait::async_trait]
trait Job {
    async fn run(self, a: D, b: D, c: (D, D));
}

struct S(D);

#[async_trait::async_trait]
impl Job for S {
    #[guard]
    async fn run(self, a: D, _: D, (c, _): (D, D)) {
        let _local = D("local");
        println!("in run {} {}", a.0, c.0);
    }
}

fn main() {
    futures::executor::block_on(S(D("self")).run(D("a"), D("b"), (D("c"), D("d"))));
    println!("out after");
}
