//! Whether a file could be written or made, without trying.

use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::fs::{Access, access};
use rustix::io::Errno;

/// Whether the file can be written, or made where it is missing.
pub(crate) fn can_write(path: &Path, also: Access) -> io::Result<()> {
    match access(path, Access::WRITE_OK | also) {
        Err(Errno::NOENT) => can_make(path),
        result => Ok(result?),
    }
}

/// Whether a file could be made there, with the directories that are missing.
///
/// # Errors
/// What a run would be told when it tries.
pub(crate) fn can_make(path: &Path) -> io::Result<()> {
    for directory in path.ancestors().skip(1) {
        match std::fs::metadata(directory) {
            Ok(found) if found.is_dir() => return Ok(access(directory, Access::WRITE_OK | Access::EXEC_OK)?),
            Ok(_) => return Err(Errno::NOTDIR.into()),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Err(Errno::NOENT.into())
}
