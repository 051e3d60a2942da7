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
struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}
#[guard]
fn job(a: D, _b: D, _: D) -> Pin<Box<dyn Future<Output = u8> + Send>> {
    println!("in call");
    Box::pin(async move {
        println!("in job {}", a.0);
        7
    })
}

fn main() {
    println!("out {}", block_on(job(D("a"), D("b"), D("c"))));
}
