struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
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
async fn job(a: D, _b: D) {
    println!("in first {}", a.0);
    std::future::pending::<()>().await;
    println!("in never");
}

fn main() {
    let mut future = Box::pin(job(D("a"), D("b")));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(future.as_mut().poll(&mut context).is_pending());
    drop(future);
    println!("out after");
}
#[allow(dead_code)]
fn unused() -> impl Future {
    tick()
}
