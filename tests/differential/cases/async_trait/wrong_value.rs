#[async_trait::async_trait]
pub trait Job {
    async fn run(&self) -> Result<u8, String>;
}

pub struct S;

#[async_trait::async_trait]
impl Job for S {
    #[guard]
    async fn run(&self) -> Result<u8, String> {
        7
    }
}
