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
fn job<T: Copy + 'static>(value: T) -> Pin<Box<dyn Future<Output = T>>> {
    Box::pin(async move {
        println!("in job");
        value
    })
}

fn main() {
    println!("out {}", block_on(job(7)));
}
