//! What the runtime's lines in a log tell of runs.

use std::path::Path;

use anstyle::AnsiColor;
use chrono::{DateTime, TimeDelta, Utc};
use plotters::style::RGBColor;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum How {
    Finished,
    Failed,
    Killed,
    Skipped,
    /// It ended, and nobody saw how.
    Lost,
    /// There is no end yet.
    Open,
}

impl How {
    pub(crate) const ALL: [Self; 6] =
        [Self::Finished, Self::Failed, Self::Killed, Self::Skipped, Self::Lost, Self::Open];

    /// How long it took can be known.
    pub(crate) fn has_bar(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Killed)
    }

    /// In words, as a mark for readers without colours, on a terminal, and in the picture.
    pub(crate) fn look(self) -> (&'static str, &'static str, AnsiColor, RGBColor) {
        match self {
            Self::Finished => ("finished", "", AnsiColor::Green, RGBColor(0, 158, 115)),
            Self::Failed => ("failed", "×", AnsiColor::Red, RGBColor(213, 94, 0)),
            Self::Killed => ("killed", "†", AnsiColor::Magenta, RGBColor(120, 50, 150)),
            Self::Skipped => ("skipped", "○", AnsiColor::Cyan, RGBColor(0, 114, 178)),
            Self::Lost => ("lost", "?", AnsiColor::Yellow, RGBColor(110, 110, 110)),
            Self::Open => ("no end", "…", AnsiColor::Blue, RGBColor(60, 60, 60)),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) begun: DateTime<Utc>,
    pub(crate) seconds: Option<f64>,
    pub(crate) how: How,
    pub(crate) why: String,
    /// `lock PATH`, and the cluster lock where there is one. Empty where the start is not in the log any more.
    pub(crate) locks: String,
    pub(crate) pid: String,
}

impl Run {
    /// The lock file's name without its ending.
    pub(crate) fn job(&self) -> String {
        let path = self.locks.strip_prefix("lock ").unwrap_or(&self.locks);
        let path = path.split_once(", cluster lock ").map_or(path, |(path, _)| path);
        Path::new(path).file_stem().map_or("?".to_owned(), |name| name.to_string_lossy().into_owned())
    }
}

/// What the lines of a log, read in order, tell of runs.
#[derive(Default)]
pub(crate) struct History {
    pub(crate) runs: Vec<Run>,
    /// Those of them that have no end yet.
    open: Vec<usize>,
    first: Option<DateTime<Utc>>,
}

impl History {
    /// The runtime's own lines are records; what a program prints has other tags, and a further line of a record no stamp.
    pub(crate) fn line(&mut self, line: &str) -> Option<()> {
        let (stamp, rest) = line.split_at_checked(27)?;
        let time = DateTime::parse_from_rfc3339(stamp).ok()?.to_utc();
        let first = *self.first.get_or_insert(time);
        let (tag, text) = rest.strip_prefix(" [")?.split_once("] guard_runtime: run ")?;
        if !["INFO ", "WARN ", "ERROR"].contains(&tag) {
            return None;
        }
        let text = plain(text);
        if let Some(started) = text.strip_prefix("started: pid ") {
            let (pid, locks) = started.split_once(", ")?;
            let locks = locks.split_once("; ").map_or(locks, |(locks, _)| locks);
            // One run at a time has a lock: another that has no end yet will get none.
            if let Some(place) = self.open.iter().position(|run| self.runs[*run].locks == locks) {
                let run = &mut self.runs[self.open.remove(place)];
                (run.how, run.why) = (How::Lost, "its end is not in the log".to_owned());
            }
            self.open.push(self.runs.len());
            self.push(time, None, How::Open, String::new(), locks, pid);
        } else if let Some((lock, holder)) =
            text.strip_prefix("skipped: ").and_then(|text| text.split_once(" is held by "))
        {
            let lock = lock.strip_prefix("the ").map_or_else(|| format!("lock {lock}"), str::to_owned);
            let known = self.runs.iter().map(|run| &run.locks).find(|locks| locks.split(", ").any(|part| part == lock));
            let locks = known.unwrap_or(&lock).clone();
            self.push(time, None, How::Skipped, held_by(holder), &locks, "");
        } else if let Some((pid, started)) = text.strip_prefix("of pid ").and_then(|text| text.split_once(", started "))
        {
            let started = started.strip_suffix(", ended without a trace")?;
            let why = "ended without a trace".to_owned();
            let started: DateTime<Utc> = started.parse().ok()?;
            // Helpers that were killed just after the closing line: then there is both.
            let has_ended = |run: &Run| {
                run.seconds.is_some() && run.pid == pid && (run.begun - started).abs() < TimeDelta::seconds(2)
            };
            if self.runs.iter().any(has_ended) {
                return None;
            }
            if let Some(place) = self.open.iter().position(|run| self.runs[*run].pid == pid) {
                let run = &mut self.runs[self.open.remove(place)];
                (run.how, run.why) = (How::Lost, why);
            } else {
                self.push(started, None, How::Lost, why, "", pid);
            }
        } else {
            let (how, seconds, why) = ending(&text)?;
            // The line has no pid: of the runs that go on it is that which began so long ago.
            let begun = time - TimeDelta::microseconds((seconds * 1e6) as i64);
            let distance = |place: &usize| (self.runs[self.open[*place]].begun - begun).abs();
            let nearest = (0..self.open.len()).min_by_key(distance);
            // It was measured from a moment before the line.
            let slack = TimeDelta::seconds(2) + (time - begun) / 100;
            match nearest.filter(|_| begun + slack >= first) {
                Some(place) => {
                    let run = &mut self.runs[self.open.remove(place)];
                    let is_timeout = text.starts_with("timed out");
                    let seconds = if is_timeout { (time - run.begun).as_seconds_f64() } else { seconds };
                    (run.how, run.seconds, run.why) = (how, Some(seconds), why);
                }
                // Its start was rotated away.
                None => self.push(begun, Some(seconds), how, why, "", ""),
            }
        }
        Some(())
    }

    fn push(&mut self, begun: DateTime<Utc>, seconds: Option<f64>, how: How, why: String, locks: &str, pid: &str) {
        self.runs.push(Run { begun, seconds, how, why, locks: locks.to_owned(), pid: pid.to_owned() });
    }
}

/// `pid 7 (a), started 2026-11-28T03:00:00.000000Z, 6.000s ago`, and the like, without what the table has elsewhere.
fn held_by(holder: &str) -> String {
    let age = holder.split_once(", started ").and_then(|(_, started)| started.split_once(", "));
    let age = age.and_then(|(_, age)| age.split_once(" ago"));
    match (holder.split_once(" ("), age) {
        (Some((pid, _)), Some((age, rest))) => {
            format!("held by {pid} for {}{rest}", seconds(age).map_or(age.to_owned(), crate::length))
        }
        _ => format!("held by {holder}"),
    }
}

/// How a run ended, how long it took, and why.
fn ending(text: &str) -> Option<(How, f64, String)> {
    let after = |front: &str| text.strip_prefix(front);
    let reason = || text.split_once(": ").map_or(String::new(), |(_, why)| why.to_owned());
    let (how, took, why) = if let Some(took) = after("finished in ") {
        (How::Finished, took, String::new())
    } else if let Some(took) = after("failed in ").or_else(|| after("dropped after ")) {
        (How::Failed, took, reason())
    } else if let Some(took) = after("panicked in ") {
        (How::Failed, took, "panicked".to_owned())
    } else if let Some((code, took)) = after("ended by process::exit").and_then(|rest| rest.split_once(" after ")) {
        // Where the C library does not tell the code, nobody knows whether that is good.
        let how = [("(0)", How::Finished), ("", How::Lost)].iter().find(|(of, _)| *of == code);
        (how.map_or(How::Failed, |(_, how)| *how), took, format!("process::exit{code}"))
    } else if let Some((took, why)) = after("ended without finishing after ").and_then(|rest| rest.split_once(": ")) {
        let how = match why.strip_prefix("exit code ") {
            Some("0") => How::Finished,
            Some(_) => How::Failed,
            None => How::Killed,
        };
        (how, took, why.to_owned())
    } else {
        (How::Killed, after("timed out after ")?.split_once(':')?.0, text.to_owned())
    };
    Some((how, seconds(took)?, why))
}

/// `2h 30m`, `14.858s (12.1s processor, 231 MB)`.
fn seconds(text: &str) -> Option<f64> {
    let mut sum = None;
    for part in text.split([' ', ':']) {
        let unit = match part.chars().last() {
            Some('h') => 3600.0,
            Some('m') => 60.0,
            Some('s') => 1.0,
            _ => break,
        };
        let Ok(number) = part[..part.len() - 1].parse::<f64>() else { break };
        sum = Some(sum.unwrap_or(0.0) + number * unit);
    }
    sum.filter(|sum| (0.0..1e9).contains(sum))
}

/// Nothing of it does anything to a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).collect()
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
