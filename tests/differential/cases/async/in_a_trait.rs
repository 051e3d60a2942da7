fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = Box::pin(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}
trait Job {
    #[allow(async_fn_in_trait)]
    async fn run(&mut self, number: &u8) -> u8;

    #[allow(async_fn_in_trait)]
    #[guard]
    async fn twice(&mut self, number: &u8) -> u8 {
        println!("in twice");
        number * 2
    }
}

struct S(u8);

impl Job for S {
    #[guard]
    async fn run(&mut self, number: &u8) -> u8 {
        println!("in run");
        self.0 += number;
        self.0
    }
}

fn main() {
    let mut s = S(1);
    println!("out {} {}", block_on(s.run(&2)), block_on(s.twice(&3)));
}
