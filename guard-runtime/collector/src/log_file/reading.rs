//! Reads the log and its backups.

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, fstat, openat};

use super::{COMMON_FLAGS, LogFile};

impl LogFile {
    /// Whether `line` stands near the end of the log, or of the backup that it has become since.
    pub(crate) fn ends_with_line(&mut self, line: &[u8]) -> bool {
        /// Further back than a moment's lines of all who share the log.
        const SEARCHED: u64 = 4 << 20;
        let mut room = [0; 16 * 1024];
        // A long line's start has its stamp, which is enough.
        let line = line.get(..room.len() / 2).unwrap_or(line);
        [0, 1].into_iter().any(|number| {
            let Some(file) = self.open_backup(number) else { return false };
            let size = fstat(&file).map_or(0, |stat| stat.st_size as u64);
            let mut at = size.saturating_sub(SEARCHED);
            while let Ok(count) = rustix::io::pread(&file, &mut room, at) {
                if memchr::memmem::find(room.get(..count).unwrap_or_default(), line).is_some() {
                    return true;
                }
                if count <= line.len() {
                    break;
                }
                at += (count - line.len()) as u64;
            }
            false
        })
    }

    /// The backup of that number, 0 for the log itself, to be read.
    pub(super) fn open_backup(&self, number: u32) -> Option<OwnedFd> {
        let numbered;
        let name = if number == 0 {
            &self.place.name
        } else {
            numbered = self.place.name.numbered(number);
            &numbered
        };
        openat(&self.place.directory, &**name, OFlags::RDONLY | COMMON_FLAGS, Mode::empty()).ok()
    }
}
