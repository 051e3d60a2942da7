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
macro_rules! job {
    ($returned:ty) => {
        #[guard]
        fn job() -> $returned {
            Box::pin(async {
                println!("in job");
                7
            })
        }
    };
}

job!(Pin<Box<dyn Future<Output = u8>>>);

fn main() {
    println!("out {}", block_on(job()));
}
