#[async_trait::async_trait]
trait Job<T> {
    async fn run<U>(&mut self, value: T, other: U) -> (T, U)
    where
        T: 'async_trait,
        U: Send + 'static;
}

struct S;

#[async_trait::async_trait]
impl<T: Send + 'static> Job<T> for S {
    #[guard]
    async fn run<U>(&mut self, value: T, other: U) -> (T, U)
    where
        T: 'async_trait,
        U: Send + 'static,
    {
        println!("in run");
        (value, other)
    }
}

fn main() {
    println!("out {:?}", futures::executor::block_on(S.run(1, "a")));
}
