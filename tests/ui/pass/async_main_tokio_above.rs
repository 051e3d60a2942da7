//! `#[tokio::main]` above: it expands first, and the guard is outside the runtime too.
#![deny(warnings)]

#[tokio::main(flavor = "current_thread")]
#[guard_runtime::locked_pipeline(lock = "above.lock", log = "above.log")]
async fn main() -> Result<(), std::num::ParseIntError> {
    let number: u8 = "7".parse()?;
    tokio::task::yield_now().await;
    assert_eq!(number, 7);
    Ok(())
}
