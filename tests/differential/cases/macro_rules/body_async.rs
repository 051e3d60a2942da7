fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
macro_rules! job {
    ($body:block) => {
        #[guard]
        async fn job(number: u8) -> u8 $body
    };
}

job!({
    println!("in job");
    7
});

fn main() {
    println!("out {}", block_on(job(1)));
}
