//! Arguments parsed before the lock is taken (`--help` never waits), and an async body.
//!
//! `cargo run --example clap_tokio -- examples/data/*.csv` counts the lines of all files at once. The log is
//! `logs/count.log`.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use guard_runtime::locked_pipeline;
use tokio::task::JoinSet;

/// Counts the lines of files.
#[derive(Parser)]
struct Arguments {
    /// Fail when there are fewer lines than this in all.
    #[arg(long, default_value_t = 1)]
    at_least: usize,
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    count(Arguments::parse()).await
}

/// The run: a second one waits for up to ten seconds before it is skipped.
#[locked_pipeline(lock = "logs/count.lock", log = "logs/count.log", wait = "10s")]
async fn count(arguments: Arguments) -> Result<()> {
    let mut counts = JoinSet::new();
    for path in arguments.files {
        counts.spawn_blocking(move || -> Result<(usize, PathBuf)> {
            Ok((lines(&path).with_context(|| format!("cannot count {}", path.display()))?, path))
        });
    }
    let mut all = 0;
    while let Some(count) = counts.join_next().await {
        let (lines, path) = count??;
        println!("{lines:>8} {}", path.display());
        all += lines;
    }
    log::info!("{all} lines in all");
    ensure!(all >= arguments.at_least, "{all} lines, fewer than {}", arguments.at_least);
    Ok(())
}

fn lines(path: &Path) -> Result<usize> {
    let mut file = std::io::BufReader::new(std::fs::File::open(path)?);
    let (mut lines, mut line) = (0, Vec::new());
    while file.read_until(b'\n', &mut line)? > 0 {
        lines += 1;
        line.clear();
    }
    Ok(lines)
}
