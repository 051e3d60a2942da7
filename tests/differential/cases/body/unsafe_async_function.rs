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
async unsafe fn job(number: u8) -> u8 {
    println!("in job");
    number
}

fn main() {
    println!("out {}", block_on(unsafe { job(7) }));
}
