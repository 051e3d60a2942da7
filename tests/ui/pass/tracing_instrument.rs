//! With `#[tracing::instrument]`, in both orders, and a subscriber that prints to stdout.
#![deny(warnings)]

use guard_runtime::locked_pipeline;
use tracing_subscriber::fmt::format::FmtSpan;

struct Args {
    a: u8,
    b: NoDebug,
}

struct NoDebug;

#[locked_pipeline(lock = "tracing.lock", log = "tracing.log", logger = false)]
#[tracing::instrument(skip(b))]
fn span_around(Args { a, b }: Args) -> Result<u8, String> {
    let NoDebug = b;
    tracing::info!("around");
    Ok(a)
}

#[tracing::instrument]
#[locked_pipeline(lock = "tracing.lock", log = "tracing.log", logger = false)]
async fn span_inside(number: u8) -> Result<u8, String> {
    tracing::info!("inside");
    Ok(number)
}

#[tokio::main]
async fn main() {
    let _ = std::fs::remove_file("tracing.log");
    tracing_subscriber::fmt().with_ansi(false).with_span_events(FmtSpan::CLOSE).init();
    assert_eq!(span_around(Args { a: 1, b: NoDebug }), Ok(1));
    assert_eq!(span_inside(2).await, Ok(2));
    let log = std::fs::read_to_string("tracing.log").unwrap();
    assert!(log.contains("[OUT  ]") && log.contains("; no logger installed (logger = false)"), "{log}");
    // The end of the span around the run comes after the run.
    assert!(log.contains("span_around{a=1}: ") && !log.contains("span_around{a=1}: tracing_instrument: close"), "{log}");
    assert!(log.contains("span_inside{number=2}: ") && log.contains("close"), "{log}");
}
