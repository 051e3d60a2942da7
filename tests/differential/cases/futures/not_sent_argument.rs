use std::pin::Pin;
use std::rc::Rc;

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
fn job(number: Rc<u8>, text: &str) -> Pin<Box<dyn Future<Output = u8> + Send>> {
    let number = *number + text.len() as u8;
    Box::pin(async move {
        println!("in job");
        number
    })
}

fn main() {
    println!("out {}", block_on(job(Rc::new(7), "abc")));
}
