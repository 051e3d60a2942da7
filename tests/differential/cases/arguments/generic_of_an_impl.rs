struct S<const N: u16, const SIZE: u64>;

impl<const N: u16, const SIZE: u64> S<N, SIZE> {
    #[guard(backups = N, max_size = SIZE)]
    fn job(&self) {
        println!("in job");
    }

    #[guard(backups = N)]
    fn function() -> u8 {
        println!("in function");
        7
    }
}

fn main() {
    S::<3, 4096>.job();
    S::<3, 4096>::function();
}
