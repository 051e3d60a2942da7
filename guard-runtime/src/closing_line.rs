//! Finds the last closing line of a log, for people.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use guard_collector::{file_kind, record_text};

/// How much of a log and its backups is looked through, the newest first.
pub(crate) const LOOKED_THROUGH: u64 = 64 << 20;

/// The last line that says how a run ended, in the log or in the newest backup that has one.
///
/// # Errors
/// What keeps a file from being read.
pub(crate) fn last(log: &Path, backups: u16) -> io::Result<Option<String>> {
    let backup = |number: u16| {
        let mut name = log.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    };
    let mut budget = LOOKED_THROUGH;
    for path in std::iter::once(log.to_path_buf()).chain((1..=backups).map(backup)) {
        match last_in(&path, &mut budget) {
            Ok(None) if budget > 0 => {}
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            result => return result,
        }
    }
    Ok(None)
}

fn last_in(path: &Path, budget: &mut u64) -> io::Result<Option<String>> {
    if file_kind(&rustix::fs::stat(path)?).is_some() {
        return Ok(None);
    }
    let mut file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(*budget)))?;
    *budget = budget.saturating_sub(length);
    let (mut reader, mut line, mut last) = (BufReader::new(file), Vec::new(), None);
    while reader.read_until(b'\n', &mut line)? > 0 {
        if line.pop() == Some(b'\n') && is_closing(&line) {
            last = Some(String::from_utf8_lossy(&line).into_owned());
        }
        line.clear();
    }
    Ok(last)
}

/// Of our own lines that speak of a run, all but two say how it ended.
fn is_closing(line: &[u8]) -> bool {
    let said = record_text(line).and_then(|text| text.strip_prefix(b"guard_runtime: run "));
    said.is_some_and(|said| !said.starts_with(b"started: ") && !said.starts_with(b"skipped: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_is_found_in_the_log_or_a_backup() {
        const STAMP: &str = "2026-02-20T01:51:45.123456Z";
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("a.log");
        assert_eq!(last(&log, 5).unwrap(), None, "there is none yet");
        let line = |text: &str| format!("{STAMP} {text}\n");
        let others = [
            line("[INFO ] guard_runtime: run started: pid 7, lock a.lock"),
            line("[WARN ] guard_runtime: run skipped: a.lock is held by pid 7"),
            line("[OUT  ] guard_runtime: run finished in 9.000s"),
            line("[ERR +] guard_runtime: run finished in 9.000s"),
            line("[INFO ] nightly: run finished in 9.000s"),
            "    guard_runtime: run finished\n\n".to_owned(),
            format!("{STAMP} [INFO ] guard_runtime: run finished in a torn line"),
        ];
        std::fs::write(&log, others.concat()).unwrap();
        assert_eq!(last(&log, 5).unwrap(), None);
        let closing = [
            "[ERROR] guard_runtime: run of pid 7, started 2026, ended without a trace",
            "[ERROR] guard_runtime: run failed in 1.5s: no",
        ];
        std::fs::write(directory.path().join("a.log.1"), closing.map(line).concat()).unwrap();
        assert_eq!(last(&log, 0).unwrap(), None, "no backup is a log's own");
        assert_eq!(last(&log, 5).unwrap(), Some(line(closing[1]).trim_end().to_owned()));
        std::fs::write(&log, line("[INFO ] guard_runtime: run finished in 2.000s") + &others.concat()).unwrap();
        assert!(last(&log, 5).unwrap().unwrap().ends_with("] guard_runtime: run finished in 2.000s"));
    }
}
