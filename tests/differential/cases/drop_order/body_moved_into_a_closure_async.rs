//@ edition: 2024
#![allow(unused_variables)]
struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}
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
async fn job(a: D, b: D) -> u8 {
    std::future::ready(()).await;
    let close = move || drop(b);
    println!("in body");
    close();
    2
}

fn main() {
    println!("out {}", block_on(job(D("a"), D("b"))));
}
