#![warn(clippy::pedantic)]
#[async_trait::async_trait]
pub trait Job {
    async fn run(&self, unused: u8) -> Result<u8, String>;
}

pub struct S;

#[async_trait::async_trait]
impl Job for S {
    #[guard]
    async fn run(&self, unused: u8) -> Result<u8, String> {
        let mut local = 7;
        Ok(local)
    }
}
