//! Shows the runs that a log tells of: a table with a bar for how long each took, and with `--svg` a picture.
//!
//! `cargo run --example history -- logs/nightly.log --svg nights.svg`. The log's backups are read with it. A status file in
//! the log's place shows the last run and the last that succeeded.

#[path = "history/files.rs"]
mod files;
#[path = "history/picture.rs"]
mod picture;
#[path = "history/runs.rs"]
mod runs;

use std::io::{BufWriter, ErrorKind, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use chrono::Local;
use clap::Parser;

use runs::{How, Run};

#[derive(Parser)]
#[command(about = "Shows the runs that a log and its backups tell of, or a status file")]
struct Arguments {
    file: PathBuf,
    /// Draw them into this file too.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let runs = files::read(&arguments.file)?;
    ensure!(!runs.is_empty(), "{} tells of no run", arguments.file.display());
    match print_table(&runs, BufWriter::new(anstream::stdout().lock())) {
        // `head` has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        result => result.context("cannot print the table")?,
    }
    if let Some(svg) = &arguments.svg {
        picture::draw(&runs, svg).with_context(|| format!("cannot draw {}", svg.display()))?;
    }
    Ok(())
}

/// Colours are left out by `anstream` where standard output is no terminal, or `NO_COLOR` is set.
fn print_table(runs: &[Run], mut console: impl Write) -> std::io::Result<()> {
    let jobs: Vec<String> = runs.iter().map(Run::job).collect();
    let has_jobs = jobs.iter().any(|job| *job != jobs[0]);
    let job_width = if has_jobs { jobs.iter().map(|job| job.chars().count()).max().unwrap_or_default() + 2 } else { 0 };
    let longest = runs.iter().filter_map(|run| run.seconds).fold(0.0, f64::max);
    let left = terminal_width().saturating_sub("2026-11-28 03:00  finished  14m 52s  ".len() + job_width);
    let bar_width = if runs.iter().all(|run| run.why.is_empty()) { left } else { (left * 2 / 5).clamp(8, 40) };
    for (run, job) in runs.iter().zip(&jobs) {
        let (word, _, color, _) = run.how.look();
        let style = color.on_default();
        let date = run.begun.with_timezone(&Local).format("%F %R");
        let job = if has_jobs { job.as_str() } else { "" };
        let took = run.seconds.map(length).unwrap_or_default();
        let bar = bar(run.seconds.unwrap_or_default() / longest, bar_width);
        let why = cut(&run.why, left.saturating_sub(bar_width + 1));
        let gap = if why.is_empty() { 0 } else { bar_width + 1 };
        writeln!(
            console,
            "{date}  {job:job_width$}{style}{word:8}{style:#}  {took:>7}  {style}{bar:gap$}{style:#}{why}"
        )?;
    }
    let mut sum = Vec::new();
    for how in How::ALL {
        match runs.iter().filter(|run| run.how == how).count() {
            0 => {}
            count => sum.push(format!("{count} {}", how.look().0)),
        }
    }
    writeln!(console, "{}", sum.join(", "))?;
    console.flush()
}

fn terminal_width() -> usize {
    let set = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let asked = || rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| size.ws_col.into());
    set.or_else(asked).filter(|width| *width > 0).unwrap_or(80)
}

/// In eighths of a letter; what has any length is seen.
fn bar(share: f64, width: usize) -> String {
    if share.is_nan() || share <= 0.0 {
        return String::new();
    }
    let eighths = ((share * (width * 8) as f64).round() as usize).max(1);
    let rest = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"][eighths % 8];
    "█".repeat(eighths / 8) + rest
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn length(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1}s"),
        60..3600 => format!("{}m {:02}s", whole / 60, whole % 60),
        _ => format!("{}h {:02}m", whole / 3600, whole / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_and_bars() {
        assert_eq!([0.04, 59.9, 892.0, 7500.0].map(length), ["0.0s", "1m 00s", "14m 52s", "2h 05m"]);
        assert_eq!([1.0, 0.5, 0.2, 0.0001, 0.0, f64::NAN].map(|share| bar(share, 4)), ["████", "██", "▊", "▏", "", ""]);
        assert_eq!(["abc", "abcd"].map(|text| cut(text, 3)), ["abc", "ab…"]);
    }
}
