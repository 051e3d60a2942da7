struct App(u8);

impl App {
    #[guard]
    #[tokio::main]
    async fn run() -> Result<Self, String> {
        tokio::task::yield_now().await;
        println!("in run");
        Ok(Self(7))
    }

    #[guard]
    #[tokio::main(flavor = "current_thread")]
    async fn more(&mut self, number: u8) -> u8 {
        tokio::task::yield_now().await;
        println!("in more");
        self.0 += number;
        self.0
    }
}

fn main() {
    println!("out {}", App::run().unwrap().more(3));
}
