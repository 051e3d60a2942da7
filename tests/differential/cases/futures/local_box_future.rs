use futures::FutureExt;
use futures::future::LocalBoxFuture;

#[guard]
fn job<'a>(number: &'a u8) -> LocalBoxFuture<'a, u8> {
    println!("in call");
    async move {
        println!("in job");
        *number
    }
    .boxed_local()
}

fn main() {
    println!("out {}", futures::executor::block_on(job(&7)));
}
