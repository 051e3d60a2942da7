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
fn job(fine: bool) -> Pin<Box<dyn Future<Output = ()>>> {
    println!("in call");
    assert!(fine, "no");
    Box::pin(async {})
}

fn main() {
    block_on(job(true));
    block_on(job(false));
}
