use smol_macros::{Executor, main};

main! {
    #[guard]
    async fn main(executor: &Executor<'_>) {
        executor.spawn(async { println!("in task") }).await;
        println!("in main");
    }
}
