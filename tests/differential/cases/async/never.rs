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
async fn job(mut rounds: u8) -> ! {
    loop {
        tick().await;
        rounds -= 1;
        println!("in round {rounds}");
        if rounds == 0 {
            std::process::exit(3);
        }
    }
}

fn main() {
    block_on(job(3));
}
