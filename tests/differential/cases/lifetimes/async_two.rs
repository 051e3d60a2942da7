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
async fn job<'a>(one: &'a str, two: &str) -> &'a str {
    println!("in job {two}");
    one.trim()
}

fn main() {
    println!("out {}", block_on(job(" a ", &String::from("b"))));
}
