//! A run that is a child of another one: whether what it prints goes into the same log already.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use guard_collector::{FileId, LogFile, sys};

/// Whether `console` is a stream of a run that writes into `log`. Where its helpers cannot be looked at, they are not known.
pub(crate) fn writes_to(log: &LogFile, console: impl AsFd) -> bool {
    let Some(group) = sys::readers(console) else { return false };
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    processes
        .flatten()
        .map(|process| process.path())
        .any(|process| is_member(&process, group) && has_open(&process, log))
}

/// Of the group of the outer run's helpers. Their names do not count: a helper gets its own a moment after its run has started.
fn is_member(process: &Path, group: u32) -> bool {
    let Ok(stat) = fs::read_to_string(process.join("stat")) else { return false };
    // `pid (name) state parent group …` (proc(5)).
    let Some((_, behind)) = stat.rsplit_once(')') else { return false };
    behind.split_ascii_whitespace().nth(2) == Some(&group.to_string())
}

fn has_open(process: &Path, log: &LogFile) -> bool {
    let Ok(descriptors) = fs::read_dir(process.join("fd")) else { return false };
    descriptors
        .flatten()
        .filter_map(|descriptor| fs::metadata(descriptor.path()).ok())
        .any(|file| file.is_file() && log.is_at(FileId { device: file.dev(), inode: file.ino() }))
}
