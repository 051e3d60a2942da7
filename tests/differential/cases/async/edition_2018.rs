//@ edition: 2018
use std::future::Future;

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
async fn job(mut numbers: Vec<u8>, (a, _): (u8, u8)) -> Result<u8, std::num::ParseIntError> {
    println!("in job");
    numbers.push("7".parse()?);
    Ok(numbers.iter().sum::<u8>() + a)
}

fn main() {
    println!("out {:?}", block_on(job(vec![1], (2, 3))));
}
