//! A program that has a `tracing` subscriber of its own: what that prints is captured like everything else.
//!
//! `cargo run --example tracing`. The log is `logs/tracing.log`.

use guard_runtime::locked_pipeline;
use tracing::{info, instrument, warn};

// `logger = false`: no `log` logger is installed, the subscriber is the program's.
#[locked_pipeline(lock = "logs/tracing.lock", log = "logs/tracing.log", logger = false)]
fn main() {
    // Inside the run, for standard output leads to the log from there on. The log has a stamp on each line already.
    tracing_subscriber::fmt().without_time().init();
    for (station, readings) in [("north", &[7.5, 8.0, 7.0][..]), ("south", &[])] {
        report(station, readings);
    }
}

#[instrument(skip(readings))]
fn report(station: &str, readings: &[f64]) {
    if readings.is_empty() {
        return warn!("no readings");
    }
    let mean = readings.iter().sum::<f64>() / readings.len() as f64;
    info!(mean, readings = readings.len(), "done");
}
