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
async fn job(a: D, _: D) -> ! {
    println!("in job {}", a.0);
    panic!("no")
}

fn main() {
    block_on(job(D("a"), D("b")));
}
