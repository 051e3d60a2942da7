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
async fn job(n: usize) -> Box<dyn Fn(&str) -> usize> {
    println!("in job");
    Box::new(move |text| text.len() + n)
}

fn main() {
    println!("out {}", block_on(job(1))("abc"));
}
