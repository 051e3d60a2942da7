struct App<T>(T);

impl<T: Default> App<T> {
    #[tokio::main]
    #[guard]
    async fn run() -> Result<Self, String> {
        tokio::task::yield_now().await;
        println!("in run");
        Ok(Self(T::default()))
    }
}

fn main() {
    println!("out {}", App::<u8>::run().unwrap().0);
}
