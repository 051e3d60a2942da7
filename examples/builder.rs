//! Without the attribute: a configuration made at run time, and the lock's error handled.
//!
//! `cargo run --example builder`. The log is `logs/builder.log`.

use std::process::ExitCode;

use guard_runtime::{Config, Outcome, StartError};

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_else(|| "builder".to_owned());
    let lock = format!("logs/{name}.lock");
    let guard = match Config::new(lock, format!("logs/{name}.log")).backups(2).start() {
        Ok(guard) => guard,
        Err(StartError::Held { contention, .. }) => {
            let since = contention.holder.map_or("an unknown time".to_owned(), |holder| format!("{:.0?}", holder.age));
            println!("somebody has been at it for {since}: nothing to do");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(error.exit_code());
        }
    };
    let outcome = match size_of(std::path::Path::new("logs")) {
        Ok(bytes) => {
            println!("{bytes} bytes of logs");
            Outcome::Finished
        }
        Err(error) => Outcome::Failed(Some(error.to_string())),
    };
    let code = if outcome == Outcome::Finished { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    // When this returns, log and console have everything, and the lock is free.
    guard.finish(outcome);
    code
}

/// How many bytes the files of a directory have together.
fn size_of(directory: &std::path::Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let size = entry.metadata()?.len();
        log::info!("{}: {size} bytes", entry.path().display());
        bytes += size;
    }
    Ok(bytes)
}
