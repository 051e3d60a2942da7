//! With `#[tracing::instrument]`, in both orders, and a subscriber that prints to stdout.
#![deny(warnings)]

use guard_runtime::locked_pipeline;

#[locked_pipeline(lock = "tracing.lock", log = "tracing.log", logger = false)]
#[tracing::instrument]
fn span_inside(number: u8) -> Result<u8, String> {
    tracing::info!("inside");
    Ok(number)
}

#[tracing::instrument]
#[locked_pipeline(lock = "tracing.lock", log = "tracing.log", logger = false)]
async fn span_outside(number: u8) -> Result<u8, String> {
    tracing::info!("outside");
    Ok(number)
}

#[tokio::main]
async fn main() {
    let _ = std::fs::remove_file("tracing.log");
    tracing_subscriber::fmt().with_ansi(false).init();
    assert_eq!(span_inside(1), Ok(1));
    assert_eq!(span_outside(2).await, Ok(2));
    let log = std::fs::read_to_string("tracing.log").unwrap();
    assert!(log.contains("[OUT  ]") && log.contains("span_inside{number=1}: "), "{log}");
    assert!(log.contains("span_outside{number=2}: ") && log.contains("; no logger installed (logger = false)"), "{log}");
}
