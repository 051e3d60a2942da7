//@ edition: 2021
use std::future::Future;
use std::sync::Mutex;

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
async fn job(numbers: Mutex<Vec<u8>>, (more, _): (Mutex<u8>, u8)) -> u8 {
    *numbers.lock().unwrap().first().unwrap() + *more.lock().unwrap()
}

fn main() {
    println!("out {}", block_on(job(Mutex::new(vec![1]), (Mutex::new(2), 3))));
}
