//! Opens the log: makes its directories, resolves a link once, refuses what is not a regular file.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use guard_collector::{LogFile, NAME_MAX, file_kind};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::descriptor::above_standard;

/// Opens the log for appending; makes its directories and the file where they are missing. Where there is no room to make
/// the file, that is tried again with each batch.
///
/// # Errors
/// What the system says, or in words of ours what stands in the file's place.
pub(crate) fn open_log(path: &Path, max_size: u64, backups: u16) -> io::Result<LogFile> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    // Looked at before it is opened: opening a FIFO or a device can have effects of its own.
    let path = match rustix::fs::stat(path) {
        Ok(stat) => {
            if let Some(kind) = file_kind(&stat) {
                return Err(io::Error::other(format!("is {kind}, not a regular file")));
            }
            path.canonicalize()?
        }
        Err(Errno::NOENT) => resolved_parent(path)?,
        Err(error) => return Err(error.into()),
    };
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::other("is not the path of a file"));
    };
    let directory = rustix::fs::open(parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let longest = name.len() + if backups == 0 { 0 } else { format!(".{backups}").len() };
    let log = LogFile::new(above_standard(directory)?, name.as_bytes(), max_size, backups.into());
    let Some(mut log) = log.filter(|_| longest <= NAME_MAX) else {
        let limit =
            format!("has a name of {longest} bytes with its backup's number; a file's name has at most {NAME_MAX}");
        return Err(io::Error::other(limit));
    };
    match log.open() {
        Ok(()) | Err(Errno::NOSPC | Errno::DQUOT) => Ok(log),
        Err(error) => Err(error.into()),
    }
}

/// The path of a file that is not there yet, or of the one that a dangling link names.
fn resolved_parent(path: &Path) -> io::Result<std::path::PathBuf> {
    let mut path = path.to_path_buf();
    // As many as Linux follows (path_resolution(7)).
    for _ in 0..40 {
        match std::fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
            Err(_) => break,
        }
    }
    let (parent, name) = (path.parent().unwrap_or(Path::new("")), path.file_name().unwrap_or_default());
    let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    Ok(parent.canonicalize()?.join(name))
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
