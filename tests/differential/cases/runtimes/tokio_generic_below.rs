trait Job {
    fn go() -> u8;
}

struct S;

impl Job for S {
    fn go() -> u8 {
        7
    }
}

#[guard]
#[tokio::main]
async fn run<J: Job>() -> u8 {
    println!("in run");
    J::go()
}

fn main() {
    println!("out {}", run::<S>());
}
