//! The log file that several processes may share: append a batch, rotate before the limit, lose no backup.

mod reading;

use core::mem;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, Stat, fstat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use crate::buffer::Buffer;
use crate::file_id::FileId;
use crate::file_name::{FileName, NAME_MAX};
use crate::log_access::Access;
use crate::log_lock::{Locked, LogLock};
use crate::refusal::{Refusal, file_kind, is_for_all, planted};
use crate::resolve::{PATH_MAX, Place, resolve};
use crate::sys;

/// Each further round means that somebody rotated between our opening and our lock: each serves one writer.
const ROUNDS: u32 = 1000;

/// Why a file in that directory may not be written to.
fn refusal(file: &Stat, directory: &OwnedFd) -> Result<Option<Refusal>, Errno> {
    Ok(file_kind(file).map(Refusal::NotRegular).or(planted(file, &fstat(directory)?)))
}

/// What became of a batch.
#[derive(Clone, Copy, Default)]
pub struct Appended {
    /// Bytes that could not be written, and why.
    pub lost: Option<(usize, Errno)>,
    /// At least once.
    pub rotated: bool,
    /// The file is past its size and could not be rotated.
    pub unrotated: Option<Refusal>,
    /// What the path names could not be used, and the file that was open before was written on.
    pub refused: Option<Refusal>,
}

/// A log and its backups.
pub struct LogFile {
    place: Place,
    /// `None` in a standby (an old log must not stay open behind everyone's back), and where there was no room to make it.
    file: Option<OwnedFd>,
    /// See [`Self::hold_next_removed`].
    next_removed: Option<OwnedFd>,
    identity: FileId,
    /// Of the file that was open last.
    access: Access,
    max_size: u64,
    backups: u32,
    /// Where our own last write ended: a file of another size was written by somebody else since.
    end: u64,
    lock: LogLock,
}

impl LogFile {
    /// Opens the log at `path`; makes its directories and the file where they are missing. A link is resolved now, and no
    /// more. Where there is no room to make the file, that is tried again with each batch.
    ///
    /// # Errors
    /// What is not a regular file, or may have been planted by somebody else, itself or its backups; what the kernel says.
    pub fn open(path: &[u8], max_size: u64, backups: u32) -> Result<Self, Refusal> {
        let mut log = Self::at(resolve(CWD, path, true)?, max_size, backups)?;
        match log.open_in_place(true) {
            Ok(()) | Err(Refusal::Os(Errno::NOSPC | Errno::DQUOT)) => Ok(log),
            Err(refusal) => Err(refusal),
        }
    }

    /// Says what [`open`](Self::open) would refuse, as far as that is known before anything is made or opened. A file or a
    /// directory that is missing is no refusal.
    ///
    /// # Errors
    /// As `open`.
    pub fn look(path: &[u8], backups: u32) -> Result<(), Refusal> {
        let place = match resolve(CWD, path, false) {
            Err(Refusal::Os(Errno::NOENT)) => return Ok(()),
            place => place?,
        };
        let Self { place: Place { directory, name }, .. } = Self::at(place, 0, backups)?;
        match statat(&directory, &*name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => refusal(&stat, &directory)?.map_or(Ok(()), Err),
            Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// A log at that place, of which nothing is opened yet.
    fn at(place: Place, max_size: u64, backups: u32) -> Result<Self, Refusal> {
        let longest = if backups == 0 { place.name.count_bytes() } else { place.name.numbered(backups).count_bytes() };
        if longest > NAME_MAX {
            return Err(Refusal::LongName(longest));
        }
        let log = Self {
            place,
            file: None,
            next_removed: None,
            identity: FileId::default(),
            access: Access::default(),
            max_size,
            backups,
            end: u64::MAX,
            lock: LogLock::default(),
        };
        log.refuse_planted_backups()?;
        Ok(log)
    }

    pub(crate) fn directory(&self) -> &OwnedFd {
        &self.place.directory
    }

    pub(crate) fn name(&self) -> &[u8] {
        self.place.name.to_bytes()
    }

    pub(crate) fn descriptors(&self) -> [Option<&OwnedFd>; 2] {
        [Some(&self.place.directory), self.file.as_ref()]
    }

    /// Closes the file; the next append opens it anew by its path.
    pub(crate) fn release(&mut self) {
        if let Some(file) = self.file.take() {
            self.access.read(&file);
        }
        self.next_removed = None;
    }

    /// In a standby: opens the file that the next rotation will remove, and closes the one before. A file is freed by who
    /// closes it last, and to free 5 MB takes ext4 some milliseconds, which the console would have to wait for.
    pub(crate) fn hold_next_removed(&mut self) {
        self.next_removed = self.open_backup(self.backups);
    }

    pub(crate) fn holds_next_removed(&self) -> bool {
        self.next_removed.is_some()
    }

    /// Whether that regular file is the log, or one of its backups.
    pub fn is_at(&self, file: FileId) -> bool {
        let Place { directory, name } = &self.place;
        let id = |name: &FileName| {
            statat(directory, &**name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| FileId::from(&stat))
        };
        let backups = (1..=self.backups).map_while(|number| id(&name.numbered(number)));
        id(name).into_iter().chain(backups).any(|id| id == file)
    }

    /// The same of what is open there.
    pub(crate) fn is_open_as(&self, descriptor: &OwnedFd) -> bool {
        fstat(descriptor).is_ok_and(|stat| file_kind(&stat).is_none() && self.is_at(FileId::from(&stat)))
    }

    /// Appends whole lines, rotating wherever the next one would pass the limit.
    pub fn append(&mut self, lines: &[u8]) -> Appended {
        let mut result = Appended::default();
        let mut rest = lines;
        while !rest.is_empty() && result.lost.is_none() {
            let (locked, size) = match self.lock_current_file(&mut result.refused) {
                Ok(found) => found,
                Err(error) => {
                    result.lost = Some((rest.len(), error));
                    break;
                }
            };
            // A peer that writes this moment completes its line itself.
            let size = if locked == Locked::No { size } else { self.complete_torn_line(size) };
            let mut fitting = self.fitting(rest, size);
            if fitting == 0 {
                if locked == Locked::Yes && result.unrotated.is_none() {
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

    /// Locks the file that the path names now; says what became of the lock, and the file's size.
    fn lock_current_file(&mut self, refused: &mut Option<Refusal>) -> Result<(Locked, u64), Errno> {
        for _ in 0..ROUNDS {
            let refusal;
            if let Some(file) = &self.file {
                let locked = self.lock.take(file);
                match statat(&self.place.directory, &*self.place.name, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) if FileId::from(&stat) == self.identity => {
                        let size = stat.st_size as u64;
                        self.lock.was_shared = self.end != u64::MAX && self.end != size;
                        return Ok((locked, size));
                    }
                    _ => refusal = self.reopen().err(),
                }
            } else {
                refusal = self.reopen().err();
            }
            match refusal {
                // Rotated again, between two steps of ours.
                None | Some(Refusal::Os(Errno::NOENT)) => {}
                Some(refusal) => {
                    *refused = Some(refusal);
                    break;
                }
            }
        }
        // The directory is gone or closed to us, or there is no room for a further file: carry on in the one that is open.
        let file = self.file.as_ref().ok_or(match refused {
            Some(Refusal::Os(error)) => *error,
            _ => Errno::NOENT,
        })?;
        let stat = fstat(file)?;
        let size = stat.st_size as u64;
        // It has no name left by which anybody could read it, only the disk's room: that much of it, and no more.
        let starts_over = stat.st_nlink == 0 && size >= self.max_size && rustix::fs::ftruncate(file, 0).is_ok();
        Ok((Locked::No, if starts_over { 0 } else { size }))
    }

    /// Opens what the path names now, and makes it where it is missing, for whom the file before it was.
    fn reopen(&mut self) -> Result<(), Refusal> {
        if let Some(file) = &self.file {
            self.access.read(file);
        } else if let Some(file) = self.open_backup(1).filter(|file| self.check(file).is_ok()) {
            self.access.read(&file);
        }
        let place = match self.open_in_place(false) {
            // Moved elsewhere, and a link left in its place.
            Err(Refusal::NotRegular("a symbolic link")) => resolve(&self.place.directory, self.name(), false)?,
            Err(Refusal::Os(Errno::NOENT)) if fstat(&self.place.directory)?.st_nlink == 0 => {
                self.place_of_same_path()?
            }
            result => return result,
        };
        let before = mem::replace(&mut self.place, place);
        let result = self.open_in_place(false);
        if result.is_err() {
            self.place = before;
        }
        result
    }

    /// The directory was removed: another one of the same path, or a link to where it was moved.
    fn place_of_same_path(&self) -> Result<Place, Refusal> {
        let mut room = [0; PATH_MAX];
        let length = sys::removed_path(&self.place.directory, &mut room).ok_or(Refusal::DirectoryRemoved)?.len();
        let mut path = Buffer::new(&mut room);
        path.advance(length);
        path.push(b'/');
        path.extend(self.name());
        resolve(CWD, &path, false).map_err(|_| Refusal::DirectoryRemoved)
    }

    /// Opens the file of that name, and makes it where it is missing: the first one with the mode that the umask leaves, as
    /// `>>` does, a later one private until it is given the access of the one before.
    fn open_in_place(&mut self, is_first: bool) -> Result<(), Refusal> {
        let Place { directory, name } = &self.place;
        let open = |flags, mode| {
            let open = |access| {
                openat(directory, &**name, access | OFlags::APPEND | COMMON_FLAGS | flags, Mode::from_raw_mode(mode))
            };
            // To be appended to it need not be readable.
            open(OFlags::RDWR).or_else(|error| if error == Errno::ACCESS { open(OFlags::WRONLY) } else { Err(error) })
        };
        let file = match statat(directory, &**name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| file_kind(&stat)) {
            Ok(Some(kind)) => return Err(Refusal::NotRegular(kind)),
            _ if is_first => open(OFlags::CREATE, 0o666)?,
            Ok(None) => open(OFlags::empty(), 0)?,
            Err(_) => match open(OFlags::CREATE | OFlags::EXCL, 0o600) {
                Ok(file) => {
                    self.access.give(&file);
                    file
                }
                // A peer was first.
                Err(Errno::EXIST) => open(OFlags::empty(), 0)?,
                Err(error) => return Err(error.into()),
            },
        };
        self.identity = self.check(&file)?;
        // Not known to end with a newline.
        self.end = u64::MAX;
        self.file = Some(file);
        Ok(())
    }

    /// Refuses what may not be written to; which file it is.
    fn check(&self, file: &OwnedFd) -> Result<FileId, Refusal> {
        let stat = fstat(file)?;
        match refusal(&stat, &self.place.directory)? {
            Some(refusal) => Err(refusal),
            None => Ok(FileId::from(&stat)),
        }
    }

    /// They would be moved and removed in the name of whoever runs the job.
    fn refuse_planted_backups(&self) -> Result<(), Refusal> {
        let Place { directory, name } = &self.place;
        let directory_stat = fstat(directory)?;
        if !is_for_all(&directory_stat) {
            return Ok(());
        }
        let is_planted = |number: &u32| {
            statat(directory, &*name.numbered(*number), AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| planted(&stat, &directory_stat).is_some())
        };
        (1..=self.backups).find(is_planted).map_or(Ok(()), |number| Err(Refusal::PlantedBackup(number)))
    }

    /// Moves the log out of the way. From the lowest free number down, each step one atomic rename: a rotation that
    /// was interrupted anywhere leaves a gap, which the next one closes, and costs no backup.
    fn rotate(&mut self) -> Result<(), Refusal> {
        let Place { directory, name } = &self.place;
        if self.backups == 0 {
            return Ok(unlinkat(directory, &**name, AtFlags::empty())?);
        }
        let free =
            (1..=self.backups).find(|number| self.place.is_free(&name.numbered(*number))).unwrap_or(self.backups);
        for number in (1..free).rev() {
            renameat(directory, &*name.numbered(number), directory, &*name.numbered(number + 1))?;
        }
        let first = name.numbered(1);
        renameat(directory, &**name, directory, &*first)?;
        let result = self.reopen();
        if result.is_err() {
            // No room for a further file, perhaps: better one that is too long than a log that is not there.
            let Place { directory, name } = &self.place;
            if self.place.is_free(name) {
                let _ = renameat(directory, &*first, directory, &**name);
            }
        }
        result
    }
}

/// `O_NONBLOCK` so that nothing put in the file's place can make the opening hang.
const COMMON_FLAGS: OFlags = OFlags::CLOEXEC.union(OFlags::NONBLOCK).union(OFlags::NOFOLLOW).union(OFlags::NOCTTY);

fn ends_with_newline(file: &OwnedFd, size: u64) -> bool {
    let mut last = [0];
    // One that may not be read is taken for whole.
    size == 0 || rustix::io::pread(file, &mut last, size - 1) != Ok(1) || last == *b"\n"
}

/// Writes it all, or says how much was written before which error.
fn write_all(file: &OwnedFd, bytes: &[u8]) -> Result<(), (usize, Errno)> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    /// The log of that path, opened.
    fn open(path: &Path, max_size: u64, backups: u32) -> LogFile {
        LogFile::open(path.as_os_str().as_bytes(), max_size, backups).unwrap()
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

    /// Of a file with an access control list the mode says what it allows at most, not what the group has.
    #[cfg(all(target_os = "linux", not(guard_portable)))]
    #[test]
    fn a_new_file_takes_over_the_access_control_list() {
        use std::os::unix::fs::MetadataExt;
        /// Version 2, then tag, rights and whose they are (`linux/posix_acl_xattr.h`).
        fn list(entries: &[(u16, u16, u32)]) -> Vec<u8> {
            let entry = |(tag, rights, id): &(u16, u16, u32)| {
                [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
            };
            [2_u32.to_le_bytes().to_vec(), entries.iter().flat_map(entry).collect()].concat()
        }
        let nobody = u32::MAX;
        let acl = list(&[(1, 6, nobody), (2, 4, 12_345), (4, 0, nobody), (0x10, 4, nobody), (0x20, 0, nobody)]);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut log = open(&path, 10, 5);
        let name = "system.posix_acl_access";
        if rustix::fs::setxattr(&path, name, &acl, rustix::fs::XattrFlags::empty()).is_err() {
            return println!("not shown: a file system without access control lists");
        }
        log.append(b"line one\nline two\n");
        let mut found = [0; 256];
        let length = rustix::fs::getxattr(&path, name, &mut found[..]).unwrap();
        assert_eq!(found[..length], acl);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        // It was taken away, and its directory gives one to every new file.
        rustix::fs::removexattr(&path, name).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        let default = "system.posix_acl_default";
        rustix::fs::setxattr(directory.path(), default, &acl, rustix::fs::XattrFlags::empty()).unwrap();
        log.append(b"line one\n");
        assert_eq!(rustix::fs::getxattr(&path, name, &mut found[..]), Err(Errno::NODATA));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
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
