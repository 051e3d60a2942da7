//! Reads a log with its backups, or a status file.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::runs::{History, How, Run, plain};

/// The runs that the file tells of, by their start.
pub(crate) fn read(path: &Path) -> Result<Vec<Run>> {
    let mut runs = read_log(path)?;
    if runs.is_empty()
        && let Ok(status) = serde_json::from_reader(BufReader::new(File::open(path)?))
    {
        runs = of_status(&status).with_context(|| format!("{} is no status file", path.display()))?;
    }
    for run in runs.iter_mut().filter(|run| run.how == How::Open) {
        "it goes on, or died with its helpers".clone_into(&mut run.why);
    }
    // Of a run whose start was rotated away nobody knows the lock; where all others have the same, it is taken for that.
    let known = runs.iter().map(|run| &run.locks).find(|locks| !locks.is_empty()).cloned().unwrap_or_default();
    if runs.iter().all(|run| run.locks.is_empty() || run.locks == known) {
        for run in &mut runs {
            run.locks.clone_from(&known);
        }
    }
    runs.sort_by_key(|run| run.begun);
    Ok(runs)
}

/// The log behind its backups, of which the one with the highest number is the oldest.
fn read_log(path: &Path) -> Result<Vec<Run>> {
    let mut files: Vec<(u64, File)> = Vec::new();
    for number in 0.. {
        let mut name = path.as_os_str().to_owned();
        if number > 0 {
            name.push(format!(".{number}"));
        }
        let file = match File::open(name) {
            Err(_) if number > 0 => break,
            file => file.with_context(|| format!("cannot read {}", path.display()))?,
        };
        let inode = file.metadata()?.ino();
        // The same again where the log was rotated a moment ago.
        if files.last().is_none_or(|(last, _)| *last != inode) {
            files.push((inode, file));
        }
    }
    let (mut history, mut line) = (History::default(), Vec::new());
    for (_, file) in files.into_iter().rev() {
        let mut file = BufReader::new(file);
        while file.read_until(b'\n', &mut line).with_context(|| format!("cannot read {}", path.display()))? > 0 {
            // Without its end it is still being written.
            if line.pop() == Some(b'\n') {
                history.line(&String::from_utf8_lossy(&line));
            }
            line.clear();
        }
    }
    Ok(history.runs)
}

/// The last run, and the last that succeeded where that is another one.
pub(crate) fn of_status(status: &Value) -> Option<Vec<Run>> {
    let time = |value: &Value| value.as_str()?.parse::<DateTime<Utc>>().ok();
    let how = match status["state"].as_str()? {
        "succeeded" => How::Finished,
        "running" => How::Open,
        "killed" | "timed_out" => How::Killed,
        "lost" => How::Lost,
        _ => How::Failed,
    };
    let why = plain(status["detail"].as_str().unwrap_or_default());
    let locks = plain(&format!("lock {}", status["lock"].as_str()?));
    let (begun, pid) = (time(&status["started"])?, status["pid"].to_string());
    let mut runs = vec![Run { begun, seconds: status["seconds"].as_f64(), how, why, locks: locks.clone(), pid }];
    let success = &status["last_success"];
    if let (Some(begun), Some(ended)) = (time(&success["started"]), time(&success["ended"]))
        && begun != runs[0].begun
    {
        let (why, pid) = ("the last that succeeded".to_owned(), String::new());
        let seconds = Some((ended - begun).as_seconds_f64());
        runs.push(Run { begun, seconds, how: How::Finished, why, locks, pid });
    }
    Some(runs)
}
