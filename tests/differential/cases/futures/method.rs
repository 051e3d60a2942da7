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
struct S(u8);

impl S {
    #[guard]
    fn job<'a>(&'a self, more: &'a u8) -> Pin<Box<dyn Future<Output = u8> + Send + 'a>> {
        Box::pin(async move {
            println!("in job");
            self.0 + more
        })
    }

    #[guard]
    fn elided(&self) -> Pin<Box<dyn Future<Output = u8> + '_>> {
        println!("in elided");
        let number = self.0;
        Box::pin(async move { number })
    }
}

fn main() {
    println!("out {}", block_on(S(7).job(&1)) + block_on(S(8).elided()));
}
