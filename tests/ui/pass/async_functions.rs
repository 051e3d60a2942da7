//! Async functions and methods, `async_trait`, a dropped future.
#![deny(warnings)]

use std::time::Duration;

use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "async.lock", log = "async.log")]
async fn job(text: &str, mut numbers: Vec<u8>) -> Result<u8, std::num::ParseIntError> {
    numbers.push(text.parse()?);
    tokio::task::yield_now().await;
    if numbers.len() > 9 {
        return Ok(0);
    }
    Ok(numbers.iter().sum())
}

#[locked_pipeline(lock = "async.lock", log = "async.log")]
async fn result_of_impl() -> Result<impl Iterator<Item = u8>, std::num::ParseIntError> {
    let first: u8 = "1".parse()?;
    Ok(first..4)
}

#[locked_pipeline(lock = "async.lock", log = "async.log")]
async fn for_ever() {
    std::future::pending::<()>().await;
}

struct Pipeline(u8);

impl Pipeline {
    #[locked_pipeline(lock = "async.lock", log = "async.log")]
    async fn advance(&mut self) -> u8 {
        self.0 += 1;
        self.0
    }
}

#[async_trait::async_trait]
trait Job {
    async fn run(&self, add: u8) -> Result<u8, String>;
}

#[async_trait::async_trait]
impl Job for Pipeline {
    #[locked_pipeline(lock = "async.lock", log = "async.log")]
    async fn run(&self, add: u8) -> Result<u8, String> {
        tokio::task::yield_now().await;
        // Its own run is active here, and not before.
        let nested = guard_runtime::Config::new("other.lock", "other.log").start();
        assert!(matches!(nested, Err(guard_runtime::StartError::Active)));
        if add == 0 {
            return Err("nothing to add".into());
        }
        Ok(self.0 + add)
    }
}

fn log() -> String {
    std::fs::read_to_string("async.log").unwrap()
}

#[tokio::main]
async fn main() {
    let _ = std::fs::remove_file("async.log");
    assert_eq!(job("7", vec![1]).await, Ok(8));
    assert!(job("seven", vec![]).await.is_err());
    assert!(log().contains("run failed in ") && log().contains("): ParseIntError { kind: InvalidDigit }"));
    assert_eq!(result_of_impl().await.unwrap().count(), 3);
    let mut pipeline = Pipeline(1);
    assert_eq!(pipeline.advance().await, 2);
    assert_eq!(Job::run(&pipeline, 3).await, Ok(5));
    assert!(Job::run(&pipeline, 0).await.is_err());
    assert!(log().contains("): \"nothing to add\""));
    assert!(tokio::time::timeout(Duration::from_millis(20), for_ever()).await.is_err());
    assert!(log().trim_end().ends_with("its future was dropped before it was done"), "{}", log());
    assert_eq!(log().matches("run started").count(), 7);
    // On another thread than it was started on.
    assert_eq!(tokio::spawn(job("1", vec![])).await.unwrap(), Ok(1));
}
