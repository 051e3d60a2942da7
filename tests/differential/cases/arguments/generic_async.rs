struct S<const N: u16>;

impl<const N: u16> S<N> {
    #[guard(backups = N + 1)]
    async fn job(&self) {
        println!("in job");
    }
}

fn main() {
    futures::executor::block_on(S::<3>.job());
}
