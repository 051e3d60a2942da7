//! `#[tokio::main]` below: the guard is outside the runtime.
#![deny(warnings)]

#[guard_runtime::locked_pipeline(lock = "below.lock", log = "below.log")]
#[tokio::main]
async fn main() -> Result<(), std::num::ParseIntError> {
    let number: u8 = tokio::spawn(async { "7".parse() }).await.unwrap()?;
    assert_eq!(number, 7);
    Ok(())
}
