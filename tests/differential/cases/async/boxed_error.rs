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
async fn job(text: &str) -> Result<Box<dyn std::fmt::Debug>, Box<dyn std::error::Error>> {
    println!("in job");
    let number: u8 = text.parse()?;
    Ok(Box::new(number))
}

fn main() {
    println!("out {:?} {:?}", block_on(job("7")), block_on(job("seven")));
}
