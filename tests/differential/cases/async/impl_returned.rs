use std::fmt::Debug;

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
async fn job(fine: bool) -> Result<(impl Debug, [impl Debug; 2]), String> {
    println!("in job");
    if !fine {
        return Err("no".into());
    }
    Ok((1, [2, 3]))
}

fn main() {
    println!("out {:?} {:?}", block_on(job(true)), block_on(job(false)));
}
