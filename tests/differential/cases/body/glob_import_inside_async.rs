fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
struct Failure;

mod shadow {
    pub struct Failure;
    pub type Result<T> = std::result::Result<T, Failure>;
    pub fn make() -> Result<u8> {
        Err(Failure)
    }
}

#[guard]
async fn job() -> Result<u8, Failure> {
    use shadow::*;
    println!("in job {}", make().is_err());
    Ok(3)
}

fn main() {
    println!("out {}", block_on(job()).is_ok());
}
