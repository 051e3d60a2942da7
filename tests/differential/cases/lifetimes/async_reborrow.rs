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
struct S(Vec<u8>);

impl S {
    #[guard]
    async fn job(&mut self, number: &u8) -> Option<&mut u8> {
        tick().await;
        println!("in job");
        self.0.push(*number);
        self.0.last_mut()
    }
}

fn main() {
    let mut s = S(vec![]);
    *block_on(s.job(&1)).unwrap() += 1;
    println!("out {:?}", s.0);
}
