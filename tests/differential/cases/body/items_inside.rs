#[guard]
fn job() -> u8 {
    const THREE: u8 = 3;
    static FOUR: u8 = 4;
    #[derive(Clone, Copy)]
    struct Pair(u8, u8);
    impl Pair {
        fn sum(self) -> u8 {
            self.0 + self.1
        }
    }
    println!("in job");
    Pair(THREE, FOUR).sum()
}

fn main() {
    println!("out {}", job());
}
