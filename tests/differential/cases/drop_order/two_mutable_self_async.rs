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

struct S(D, #[allow(dead_code)] D);

impl S {
    #[guard]
    async fn job(mut self, a: D, b: D) {
        tick().await;
        println!("in body");
        self.1 = D("new");
    }
}

fn main() {
    block_on(S::job(S(D("s0"), D("s1")), D("a"), D("b")));
    println!("out after");
}
