use std::cell::Cell;

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
fn send<T: Send>(value: T) -> T {
    value
}

#[guard]
async fn job(text: String, numbers: &[u8], cell: Cell<u8>) -> Result<Box<dyn Fn() -> u8 + Send>, String> {
    tick().await;
    println!("in job {text}");
    let number = numbers[0] + cell.get();
    tick().await;
    Ok(Box::new(move || number))
}

fn main() {
    println!("out {}", block_on(send(job("a".into(), &[1], Cell::new(2)))).unwrap()());
}
