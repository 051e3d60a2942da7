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
async fn job(number: u8, #[cfg(windows)] other: u8, #[cfg(unix)] more: u8) -> u8 {
    println!("in job");
    number + more
}

fn main() {
    println!("out {}", block_on(job(1, 2)));
}
