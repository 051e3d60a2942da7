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
async fn job<T, const N: usize, F>(values: [T; N], call: F) -> Vec<T>
where
    F: AsyncFn(T) -> T,
{
    println!("in job {N}");
    let mut all = vec![];
    for value in values {
        all.push(call(value).await);
    }
    all
}

fn main() {
    println!("out {:?}", block_on(job([1, 2], async |number| number + 1)));
}
