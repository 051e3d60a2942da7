#![allow(clippy::too_many_arguments)]
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
async fn tick() {
    let mut polled = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut polled, true) {
            return std::task::Poll::Ready(());
        }
        context.waker().wake_by_ref();
        std::task::Poll::Pending
    })
    .await
}

#[guard]
async fn job(a0: D, a1: D, a2: D, a3: D, a4: D, a5: D, a6: D, a7: D, a8: D, a9: D, a10: D, a11: D, a12: D) {
    let _local = D("local");
    tick().await;
    println!("in body");
}

fn main() {
    block_on(job(D("0"), D("1"), D("2"), D("3"), D("4"), D("5"), D("6"), D("7"), D("8"), D("9"), D("10"), D("11"), D("12")));
    println!("out after");
}
