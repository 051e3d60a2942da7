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
async fn job() {
    let mut rounds = 0;
    loop {
        tick().await;
        rounds += 1;
        if rounds == 3 {
            println!("in job");
            std::process::exit(4);
        }
    }
}

fn main() {
    block_on(job());
}
