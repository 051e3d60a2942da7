//! The log file that several processes may share: append a batch, rotate before the limit, lose no backup.

use core::ffi::CStr;
use core::fmt::Write;
use core::ops::Deref;

use rustix::event::Timespec;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, FlockOperation, Mode, OFlags, RawMode, Stat};
use rustix::io::Errno;

use crate::buffer::Buffer;
use crate::file_id::FileId;
use crate::sys;

/// How long a lock on the log is waited for. A peer holds it for one batch; one that was stopped holds it for ever.
const LOCK_PATIENCE_MS: u32 = 100;

/// What became of a batch.
#[derive(Clone, Copy, Default)]
pub struct Appended {
    /// Bytes that could not be written, and why.
    pub lost: Option<(usize, Errno)>,
    /// At least once.
    pub rotated: bool,
    /// The file is past its size and could not be rotated.
    pub unrotated: Option<Errno>,
}

/// A log and its backups.
pub struct LogFile {
    directory: OwnedFd,
    name: FileName,
    /// `None` in a standby (an old log must not stay open behind everyone's back), and where there was no room to make it.
    file: Option<OwnedFd>,
    /// See [`Self::hold_next_removed`].
    next_removed: Option<OwnedFd>,
    identity: FileId,
    mode_and_owner: (RawMode, u32, u32),
    max_size: u64,
    backups: u32,
    /// Where our own last write ended: a file of another size was written by somebody else since.
    end: u64,
    lock_given_up: bool,
}

impl LogFile {
    /// The log `name` in `directory`, which is yet to be opened; `None` where the name is longer than a file's can be.
    pub fn new(directory: OwnedFd, name: &[u8], max_size: u64, backups: u32) -> Option<Self> {
        Some(Self {
            directory,
            name: FileName::new(name)?,
            file: None,
            next_removed: None,
            identity: FileId::default(),
            mode_and_owner: (0, 0, 0),
            max_size,
            backups,
            end: u64::MAX,
            lock_given_up: false,
        })
    }

    /// Opens the file, and makes it where it is missing.
    ///
    /// # Errors
    /// As open(2); `EINVAL` for what is not a regular file.
    pub fn open(&mut self) -> Result<(), Errno> {
        let file = rustix::fs::openat(
            &self.directory,
            &*self.name,
            open_flags() | OFlags::NOFOLLOW | OFlags::CREATE,
            Mode::from_raw_mode(0o666),
        )?;
        self.adopt(file)
    }

    pub(crate) fn directory(&self) -> &OwnedFd {
        &self.directory
    }

    pub(crate) fn descriptors(&self) -> [Option<&OwnedFd>; 2] {
        [Some(&self.directory), self.file.as_ref()]
    }

    /// Closes the file; the next append opens it anew by its path.
    pub(crate) fn release(&mut self) {
        self.file = None;
        self.next_removed = None;
    }

    /// In a standby: opens the file that the next rotation will remove, and closes the one before. A file is freed by who
    /// closes it last, and to free 5 MB takes ext4 some milliseconds, which the console would have to wait for.
    pub(crate) fn hold_next_removed(&mut self) {
        let numbered;
        let name = if self.backups == 0 {
            &self.name
        } else {
            numbered = self.name.numbered(self.backups);
            &numbered
        };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
        self.next_removed = rustix::fs::openat(&self.directory, &**name, flags, Mode::empty()).ok();
    }

    pub(crate) fn holds_next_removed(&self) -> bool {
        self.next_removed.is_some()
    }

    /// Appends whole lines, rotating wherever the next one would pass the limit.
    pub fn append(&mut self, lines: &[u8]) -> Appended {
        let mut result = Appended::default();
        let mut rest = lines;
        while !rest.is_empty() && result.lost.is_none() {
            let (locked, size) = match self.lock_current_file() {
                Ok(found) => found,
                Err(error) => {
                    result.lost = Some((rest.len(), error));
                    break;
                }
            };
            let size = self.complete_torn_line(size);
            let mut fitting = self.fitting(rest, size);
            if fitting == 0 {
                if locked && result.unrotated.is_none() {
                    match self.rotate() {
                        Ok(()) => {
                            result.rotated = true;
                            continue;
                        }
                        Err(error) => result.unrotated = Some(error),
                    }
                }
                fitting = rest.len();
            }
            let Some(file) = &self.file else { break };
            let written = match write_all(file, rest.get(..fitting).unwrap_or(rest)) {
                Ok(()) => fitting,
                Err((written, error)) => {
                    result.lost = Some((rest.len() - written, error));
                    written
                }
            };
            // A line cut short makes the next append look at the end of the file.
            self.end = if result.lost.is_some() { u64::MAX } else { size + written as u64 };
            rest = rest.get(written..).unwrap_or_default();
        }
        if let Some(file) = &self.file {
            let _ = rustix::fs::flock(file, FlockOperation::Unlock);
        }
        result
    }

    /// Whether `line` stands near the end of the log, or of the backup that it has become since.
    pub(crate) fn ends_with_line(&mut self, line: &[u8]) -> bool {
        /// Further back than a moment's lines of all who share the log.
        const SEARCHED: u64 = 4 << 20;
        let mut room = [0; 16 * 1024];
        // A long line's start has its stamp, which is enough.
        let line = line.get(..room.len() / 2).unwrap_or(line);
        [&*self.name, &*self.name.numbered(1)].into_iter().any(|name| {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
            let Ok(file) = rustix::fs::openat(&self.directory, name, flags, Mode::empty()) else { return false };
            let size = rustix::fs::fstat(&file).map_or(0, |stat| stat.st_size as u64);
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

    /// A file that somebody else left in the middle of a line gets its newline. Returns the size after that.
    fn complete_torn_line(&self, size: u64) -> u64 {
        match &self.file {
            Some(file) if size != self.end && !ends_with_newline(file, size) && write_all(file, b"\n").is_ok() => {
                size + 1
            }
            _ => size,
        }
    }

    /// How much from the front of `lines` the file still takes, in whole lines.
    fn fitting(&self, lines: &[u8], size: u64) -> usize {
        let room = usize::try_from(self.max_size.saturating_sub(size)).unwrap_or(usize::MAX);
        if lines.len() <= room {
            return lines.len();
        }
        match memchr::memrchr(b'\n', lines.get(..room).unwrap_or(lines)) {
            Some(last) => last + 1,
            // A single line longer than the limit has a file to itself.
            None if size == 0 => memchr::memchr(b'\n', lines).map_or(lines.len(), |end| end + 1),
            None => 0,
        }
    }

    /// Locks the file that the path names now; says whether the lock was had, and the file's size.
    fn lock_current_file(&mut self) -> Result<(bool, u64), Errno> {
        // Each further round means that somebody rotated between our opening and our lock.
        for _ in 0..16 {
            let Some(file) = &self.file else {
                self.reopen()?;
                continue;
            };
            let locked = lock(file, &mut self.lock_given_up);
            match rustix::fs::statat(&self.directory, &*self.name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) if FileId::from(&stat) == self.identity => return Ok((locked, stat.st_size as u64)),
                _ if self.reopen().is_ok() => {}
                _ => break,
            }
        }
        // The directory is gone or closed to us: carry on in the file that is open.
        let file = self.file.as_ref().ok_or(Errno::NOENT)?;
        let stat = rustix::fs::fstat(file)?;
        let size = stat.st_size as u64;
        // It has no name left by which anybody could read it, only the disk's room: that much of it, and no more.
        let starts_over = stat.st_nlink == 0 && size >= self.max_size && rustix::fs::ftruncate(file, 0).is_ok();
        Ok((false, if starts_over { 0 } else { size }))
    }

    fn reopen(&mut self) -> Result<(), Errno> {
        let open = |extra| {
            rustix::fs::openat(
                &self.directory,
                &*self.name,
                open_flags() | OFlags::NOFOLLOW | extra,
                Mode::from_raw_mode(0o666),
            )
        };
        let file = match open(OFlags::CREATE | OFlags::EXCL) {
            Ok(file) => {
                let (mode, uid, gid) = self.mode_and_owner;
                let owner = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
                // Best effort: only root gives files away. Owner first, for chown clears the setuid bits.
                let _ = rustix::fs::fchown(&file, Some(owner.0), Some(owner.1));
                let _ = rustix::fs::fchmod(&file, Mode::from_raw_mode(mode));
                file
            }
            Err(Errno::EXIST) => open(OFlags::empty())?,
            Err(error) => return Err(error),
        };
        self.adopt(file)
    }

    fn adopt(&mut self, file: OwnedFd) -> Result<(), Errno> {
        let stat = rustix::fs::fstat(&file)?;
        if file_type(&stat) != FileType::RegularFile {
            return Err(Errno::INVAL);
        }
        self.identity = FileId::from(&stat);
        self.mode_and_owner = (raw_mode(&stat) & 0o7777, stat.st_uid, stat.st_gid);
        // Not known to end with a newline.
        self.end = u64::MAX;
        self.file = Some(file);
        Ok(())
    }

    /// Moves the log out of the way. From the lowest free number down, each step one atomic rename: a rotation that
    /// was interrupted anywhere leaves a gap, which the next one closes, and costs no backup.
    fn rotate(&self) -> Result<(), Errno> {
        let Self { directory, name, backups, .. } = self;
        if *backups == 0 {
            return rustix::fs::unlinkat(directory, &**name, AtFlags::empty());
        }
        let is_free = |number: &u32| {
            let stat = rustix::fs::statat(directory, &*name.numbered(*number), AtFlags::SYMLINK_NOFOLLOW);
            stat.is_err_and(|error| error == Errno::NOENT)
        };
        let free = (1..=*backups).find(is_free).unwrap_or(*backups);
        for number in (1..free).rev() {
            rustix::fs::renameat(directory, &*name.numbered(number), directory, &*name.numbered(number + 1))?;
        }
        rustix::fs::renameat(directory, &**name, directory, &*name.numbered(1))
    }
}

/// `O_NONBLOCK` so that nothing put in the file's place can make the opening hang.
fn open_flags() -> OFlags {
    OFlags::RDWR | OFlags::APPEND | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY
}

#[allow(clippy::unnecessary_cast, reason = "other systems have other widths")]
fn raw_mode(stat: &Stat) -> RawMode {
    stat.st_mode as RawMode
}

/// What kind of file that is.
pub fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(raw_mode(stat))
}

/// What a thing that is not a regular file is.
pub fn file_kind(stat: &Stat) -> Option<&'static str> {
    match file_type(stat) {
        FileType::RegularFile => None,
        FileType::Directory => Some("a directory"),
        FileType::Symlink => Some("a symbolic link"),
        FileType::Fifo => Some("a FIFO"),
        FileType::Socket => Some("a socket"),
        FileType::CharacterDevice => Some("a character device"),
        FileType::BlockDevice => Some("a block device"),
        FileType::Unknown => Some("of an unknown kind"),
    }
}

fn lock(file: &OwnedFd, given_up: &mut bool) -> bool {
    for waited in 0..=LOCK_PATIENCE_MS {
        match rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                *given_up = false;
                return true;
            }
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) => {
                // Waited for once, not once a batch: the job must not crawl behind a stopped peer.
                if *given_up || waited == LOCK_PATIENCE_MS {
                    *given_up = true;
                    return false;
                }
                sys::sleep(&Timespec { tv_sec: 0, tv_nsec: 1_000_000 });
            }
            // A file system without flock: nobody else can hold it either.
            Err(_) => return true,
        }
    }
    false
}

fn ends_with_newline(file: &OwnedFd, size: u64) -> bool {
    let mut last = [0];
    size == 0 || rustix::io::pread(file, &mut last, size - 1).is_ok_and(|read| read == 1 && last == *b"\n")
}

/// Writes it all, or says how much was written before which error.
pub(crate) fn write_all(file: &OwnedFd, bytes: &[u8]) -> Result<(), (usize, Errno)> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match rustix::io::write(file, rest) {
            Ok(0) => return Err((written, Errno::NOSPC)),
            Ok(count) => written += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}

/// The longest name that a file can have (`NAME_MAX` of limits.h, everywhere).
pub const NAME_MAX: usize = 255;

/// A file's name, ended by a NUL.
struct FileName([u8; NAME_MAX + ".4294967295\0".len()]);

impl FileName {
    /// `None` where it is too long, or has a NUL in it.
    fn new(name: &[u8]) -> Option<Self> {
        if name.len() > NAME_MAX || name.contains(&0) {
            return None;
        }
        let mut bytes = [0; _];
        Buffer::new(&mut bytes).extend(name);
        Some(Self(bytes))
    }

    /// `LOG.7`.
    fn numbered(&self, number: u32) -> Self {
        let mut bytes = [0; _];
        let mut name = Buffer::new(&mut bytes);
        name.extend(self.to_bytes());
        let _ = write!(name, ".{number}");
        Self(bytes)
    }
}

impl Deref for FileName {
    type Target = CStr;

    fn deref(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    /// The log of that path, opened.
    fn open(path: &Path, max_size: u64, backups: u32) -> LogFile {
        let (parent, name) = (path.parent().unwrap(), path.file_name().unwrap());
        fs::create_dir_all(parent).unwrap();
        let directory = rustix::fs::open(parent, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
        let mut log = LogFile::new(directory, name.as_bytes(), max_size, backups).unwrap();
        log.open().unwrap();
        log
    }

    fn numbered_line(number: usize) -> String {
        format!("line {number:04}\n")
    }

    /// The backups from the oldest on, then the log.
    fn joined(path: &Path) -> String {
        let mut all = String::new();
        for number in (1..=999).rev() {
            all += &fs::read_to_string(format!("{}.{number}", path.display())).unwrap_or_default();
        }
        all + &fs::read_to_string(path).unwrap()
    }

    #[test]
    fn rotates_before_the_limit_and_inside_no_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut log = open(&path, 95, 50);
        let all: String = (0..300).map(numbered_line).collect();
        for portion in all.as_bytes().chunks(10 * 7) {
            let result = log.append(portion);
            assert!(result.lost.is_none() && result.unrotated.is_none());
        }
        assert_eq!(joined(&path), all);
        for entry in fs::read_dir(directory.path()).unwrap() {
            assert!(entry.unwrap().metadata().unwrap().len() <= 90, "whole lines of ten bytes within 95");
        }
    }

    #[test]
    fn keeps_as_many_backups_as_asked_for() {
        for (backups, files) in [(0, 1), (1, 2), (3, 4)] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("a.log");
            let mut log = open(&path, 20, backups);
            for number in 0..20 {
                log.append(numbered_line(number).as_bytes());
            }
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), files);
            assert!(joined(&path).ends_with("line 0018\nline 0019\n"));
        }
    }

    #[test]
    fn a_long_line_has_a_file_to_itself() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut log = open(&path, 20, 5);
        let long = "x".repeat(50) + "\n";
        log.append(format!("before\n{long}after\n").as_bytes());
        assert_eq!(fs::read_to_string(directory.path().join("a.log.1")).unwrap(), long);
        assert_eq!(joined(&path), format!("before\n{long}after\n"));
    }

    #[test]
    fn an_interrupted_rotation_is_carried_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut log = open(&path, 10, 5);
        for number in 0..6 {
            log.append(numbered_line(number).as_bytes());
        }
        // Killed between the first rename and the second: there is a gap at 4 and nothing is gone but the oldest.
        fs::rename(directory.path().join("a.log.4"), directory.path().join("a.log.5")).unwrap();
        log.append(numbered_line(6).as_bytes());
        assert_eq!(joined(&path), (1..7).map(numbered_line).collect::<String>());
    }

    #[test]
    fn a_torn_last_line_is_completed_first() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        fs::write(&path, "torn").unwrap();
        let mut log = open(&path, 1000, 5);
        log.append(b"next\n");
        fs::write(&path, fs::read_to_string(&path).unwrap() + "torn by another").unwrap();
        log.append(b"last\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "torn\nnext\ntorn by another\nlast\n");
        // The newline counts.
        let mut log = open(&path, 41, 5);
        fs::write(&path, "x".repeat(30)).unwrap();
        log.append(b"nine and 1\n");
        assert_eq!(joined(&path), "x".repeat(30) + "\nnine and 1\n");
        assert_eq!(fs::metadata(&path).unwrap().len(), 11, "it would have been 42");
    }

    #[test]
    fn follows_the_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut log = open(&path, 1000, 5);
        log.append(b"one\n");
        fs::rename(&path, directory.path().join("moved")).unwrap();
        log.append(b"two\n");
        fs::remove_file(&path).unwrap();
        log.append(b"three\n");
        assert_eq!(fs::read_to_string(directory.path().join("moved")).unwrap(), "one\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn a_log_without_a_name_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs/a.log");
        let mut log = open(&path, 100, 5);
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        for number in 0..100 {
            assert!(log.append(numbered_line(number).as_bytes()).lost.is_none());
            let size = rustix::fs::fstat(log.file.as_ref().unwrap()).unwrap().st_size;
            assert_eq!(size, (number as i64 % 10 + 1) * 10, "starts over when it is full");
        }
    }

    /// Moved out of a directory that is gone then: it has a name elsewhere, and keeps what it has.
    #[test]
    fn a_log_that_was_moved_away_keeps_everything() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs/a.log");
        let mut log = open(&path, 20, 5);
        fs::rename(&path, directory.path().join("moved")).unwrap();
        fs::remove_dir(path.parent().unwrap()).unwrap();
        let all: String = (0..5).map(numbered_line).collect();
        all.split_inclusive('\n').for_each(|line| assert!(log.append(line.as_bytes()).lost.is_none()));
        assert_eq!(fs::read_to_string(directory.path().join("moved")).unwrap(), all);
    }

    /// No line of one is taken for a torn one by the other.
    #[test]
    fn two_writers_in_turn() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut writers = [0, 1].map(|_| open(&path, 30, 50));
        let all: String = (0..20).map(numbered_line).collect();
        for (number, line) in all.split_inclusive('\n').enumerate() {
            writers[number / 2 % 2].append(line.as_bytes());
        }
        assert_eq!(joined(&path), all);
        assert_eq!(fs::metadata(directory.path().join("a.log.1")).unwrap().len(), 30);
    }

    #[test]
    fn a_peer_that_holds_the_lock_for_ever_does_not_stop_us() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut log = open(&path, 10, 5);
        let peer = fs::File::open(&path).unwrap();
        peer.lock().unwrap();
        log.append(b"line one\nline two\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "line one\nline two\n", "appended, not rotated");
        let start = std::time::Instant::now();
        for number in 0..50 {
            log.append(numbered_line(number).as_bytes());
        }
        assert!(start.elapsed().as_secs() < 3, "waited for once, not fifty times");
        drop(peer);
        log.append(b"three\n");
        assert_eq!(fs::read_to_string(&path).unwrap(), "three\n");
    }

    #[test]
    fn a_new_file_takes_over_mode_and_owner() {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        fs::write(&path, "").unwrap();
        // Only root can give it away.
        let owner = if rustix::process::geteuid().is_root() { 12_345 } else { rustix::process::geteuid().as_raw() };
        chown(&path, Some(owner), None).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let mut log = open(&path, 10, 5);
        log.append(b"line one\nline two\n");
        let file = fs::metadata(&path).unwrap();
        assert_eq!((file.permissions().mode() & 0o777, file.uid(), file.len()), (0o640, owner, 9));
    }

    #[test]
    fn a_first_file_has_the_mode_that_the_umask_leaves() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let modes = ["a.log", "other"].map(|name| {
            let path = directory.path().join(name);
            if name == "other" {
                fs::File::create(&path).unwrap();
            } else {
                open(&path, 10, 5);
            }
            fs::metadata(&path).unwrap().permissions().mode()
        });
        assert_eq!(modes[0], modes[1]);
    }
}
