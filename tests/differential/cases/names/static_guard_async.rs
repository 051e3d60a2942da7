#![allow(non_upper_case_globals, dead_code)]

fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
static guard: u8 = 0;
static value: u8 = 0;
static result: u8 = 0;
const future: u8 = 0;

#[guard]
async fn job(_: u8) -> Result<u8, u8> {
    println!("in job");
    Ok(guard + value + result + future)
}

fn main() {
    println!("out {:?}", block_on(job(1)));
}
