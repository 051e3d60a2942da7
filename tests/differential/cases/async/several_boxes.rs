use std::fmt::Debug;

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
async fn job(a: bool) -> Box<dyn Debug> {
    println!("in job");
    if a {
        return Box::new(1);
    }
    Box::new("two")
}

fn main() {
    println!("out {:?} {:?}", block_on(job(true)), block_on(job(false)));
}
