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
trait Job {
    fn run(&self) -> Pin<Box<dyn Future<Output = u8> + '_>>;
}

struct S;

impl Job for S {
    #[guard]
    fn run(&self) -> Pin<Box<dyn Future<Output = u8> + '_>> {
        Box::pin(async {
            println!("in run");
            7
        })
    }
}

fn main() {
    println!("out {}", block_on(S.run()));
}
