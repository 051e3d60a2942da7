fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
struct MyError;

#[guard]
async fn job() -> Result<(), MyError> {
    use std::io::Result;
    async fn inner() -> Result<u8> {
        Ok(7)
    }
    println!("in job {}", inner().await.unwrap());
    Ok(())
}

fn main() {
    println!("out {}", block_on(job()).is_ok());
}
