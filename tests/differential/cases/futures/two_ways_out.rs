use std::pin::Pin;

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
#[guard]
fn job(a: bool) -> Pin<Box<dyn Future<Output = u8>>> {
    if a {
        println!("in if");
        return Box::pin(async {
            println!("in one");
            1
        });
    }
    Box::pin(async {
        println!("in two");
        2
    })
}

fn main() {
    println!("out {}", block_on(job(true)) + block_on(job(false)));
}
