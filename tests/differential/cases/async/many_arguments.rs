fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
#[allow(clippy::too_many_arguments)]
#[guard]
async fn job(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8, m: u8, n: u8) -> u8 {
    println!("in job");
    a + b + c + d + e + f + g + h + i + j + k + l + m + n
}

fn main() {
    println!("out {}", block_on(job(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)));
}
