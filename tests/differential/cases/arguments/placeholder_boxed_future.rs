fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
#[guard(lock = "run-{tenant}.lock")]
fn job(tenant: String) -> std::pin::Pin<Box<dyn Future<Output = usize>>> {
    Box::pin(async move {
        println!("in job");
        tenant.len()
    })
}

fn main() {
    println!("out {}", block_on(job("abc".into())));
}
