use futures::FutureExt;
use futures::future::BoxFuture;

#[guard]
fn job(number: u8) -> BoxFuture<'static, u8> {
    async move {
        println!("in job");
        number
    }
    .boxed()
}

fn main() {
    println!("out {}", futures::executor::block_on(job(7)));
}
