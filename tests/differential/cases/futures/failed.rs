use futures::FutureExt;

#[guard]
fn job() -> futures::future::BoxFuture<'static, Result<(), Box<dyn std::error::Error + Send + Sync>>> {
    async {
        println!("in job");
        let _: u8 = "seven".parse()?;
        Ok(())
    }
    .boxed()
}

fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    futures::executor::block_on(job())
}
