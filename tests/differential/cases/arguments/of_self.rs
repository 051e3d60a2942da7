#![allow(dead_code, unused_imports)]
struct S;

impl S {
    const LOCK: &'static str = "s.lock";
    const SIZE: u64 = 4096;

    #[guard(lock = Self::LOCK, max_size = Self::SIZE * 2)]
    fn method(&self) {
        println!("in method");
    }

    #[guard(lock = Self::LOCK)]
    fn function() -> u8 {
        println!("in function");
        7
    }

    #[guard(lock = Self::LOCK)]
    async fn later(&self) {
        println!("in later");
    }
}

fn main() {
    S.method();
    S::function();
    futures::executor::block_on(S.later());
}
