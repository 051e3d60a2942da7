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
fn make() -> Pin<Box<dyn Future<Output = Result<u8, String>> + Send>> {
    Box::pin(async {
        println!("in make");
        Err("no".into())
    })
}

#[guard]
fn job() -> Pin<Box<dyn Future<Output = Result<u8, String>> + Send>> {
    make()
}

fn main() {
    println!("out {:?}", block_on(job()));
}
