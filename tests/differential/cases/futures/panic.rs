use futures::FutureExt;

#[guard]
fn job() -> futures::future::BoxFuture<'static, ()> {
    async {
        println!("in job");
        panic!("no");
    }
    .boxed()
}

fn main() {
    futures::executor::block_on(job())
}
