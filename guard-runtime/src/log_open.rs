//! Opens the log, and says in words of errors why it cannot be.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use guard_collector::protocol::Severity;
use guard_collector::{
    Batch, LINE_CAPACITY, LogFile, Refusal, Stamper, file_kind, now, record_line, without_size_signal,
};

/// Opens the log for appending; makes its directories and the file where they are missing. Where there is no room to make
/// the file, that is tried again with each batch.
///
/// # Errors
/// What the system says, or in words of ours what stands in the file's place.
pub(crate) fn open_log(path: &Path, max_size: u64, backups: u16) -> io::Result<LogFile> {
    // Looked at before it is opened: opening a FIFO or a device can have effects of its own.
    if let Some(kind) = rustix::fs::stat(path).ok().as_ref().and_then(file_kind) {
        return Err(io::Error::other(Refusal::NotRegular(kind).to_string()));
    }
    LogFile::open(path.as_os_str().as_bytes(), max_size, backups.into()).map_err(described)
}

/// A refusal as an error of the system, or one in words of ours.
pub(crate) fn described(refusal: Refusal) -> io::Error {
    match refusal {
        Refusal::Os(error) => error.into(),
        refusal => io::Error::other(refusal.to_string()),
    }
}

/// One line of the log by itself, of a program that has no collector.
pub(crate) fn append_line(log: &mut LogFile, severity: Severity, text: &str) {
    let mut room = vec![0; LINE_CAPACITY];
    let mut batch = Batch::new(&mut room);
    record_line(text.as_bytes(), true, Stamper::default().stamp(now()), severity, &mut batch);
    without_size_signal(|| log.append(batch.lines()));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_link_is_resolved_once_and_stays() {
        let directory = tempfile::tempdir().unwrap();
        let (link, path) = (directory.path().join("link"), directory.path().join("logs/a.log"));
        fs::create_dir(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("logs/a.log", &link).unwrap();
        for content in ["", "line one\n"] {
            assert_eq!(fs::read_to_string(&path).unwrap_or_default(), content);
            let mut log = open_log(&link, 10, 5).unwrap();
            log.append(if content.is_empty() { b"line one\n" } else { b"line two\n" });
            assert!(link.is_symlink());
        }
        assert_eq!(fs::read_to_string(&link).unwrap(), "line two\n");
        assert_eq!(fs::read_to_string(directory.path().join("logs/a.log.1")).unwrap(), "line one\n");
    }

    #[test]
    fn what_is_no_regular_file_is_refused_by_name() {
        let refusal = |path: &str| open_log(Path::new(path), 10, 5).err().unwrap().to_string();
        assert_eq!(refusal("/dev/null"), "is a character device, not a regular file");
        assert_eq!(refusal("/tmp"), "is a directory, not a regular file");
    }

    #[test]
    fn a_name_without_room_for_a_backups_number_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let refusal = |length, backups| open_log(&directory.path().join("x".repeat(length)), 10, backups).err();
        assert!(refusal(253, 9).is_none() && refusal(255, 0).is_none());
        assert!(refusal(254, 9).unwrap().to_string().contains("at most 255"));
    }
}
