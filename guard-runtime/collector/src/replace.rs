//! A small file that others read at any moment: replaced as a whole, read back within bounds.

use core::ffi::CStr;
use core::fmt::{self, Write as _};

use rustix::event::Timespec;
use rustix::event::poll;
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, fchmod, flock, fstat, ftruncate, linkat, openat, renameat,
    unlinkat,
};
use rustix::io::Errno;

use crate::buffer::Buffer;
use crate::sys::read_all;

/// More is not read back: whatever that is, we did not write it.
pub(crate) const LONGEST: usize = 64 * 1024;

/// Where such a file stands.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Its directory, opened once: a path may come to lead elsewhere.
    pub directory: BorrowedFd<'a>,
    /// Its name there.
    pub name: &'a CStr,
    /// The run that writes it, for the name of the temporary file.
    pub run: u64,
}

/// Who may read a new file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Everybody, less what the umask takes away.
    ByUmask,
    /// Everybody.
    Everybody,
}

impl Readers {
    fn admit(self, file: &OwnedFd) -> Result<(), Errno> {
        match self {
            Self::ByUmask => Ok(()),
            Self::Everybody => fchmod(file, Mode::from_raw_mode(0o644)),
        }
    }
}

/// What was put in a place, and what was there before. To close the latter frees it, which may take the disk a
/// millisecond: better when nobody waits.
#[derive(Debug)]
pub struct Replaced {
    /// The new file.
    pub new: OwnedFd,
    /// The one before.
    pub old: Option<OwnedFd>,
}

/// Why a file that is there cannot be read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// As open(2) and read(2).
    Refused(Errno),
    /// A directory, a link, a FIFO.
    NotRegular,
    /// Past [`LONGEST`].
    TooLong,
    /// Not what we write: somebody else's, or cut short.
    NotOurs,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // A link that must not be followed.
            Self::Refused(Errno::LOOP) | Self::NotRegular => formatter.write_str("it is not a regular file"),
            Self::Refused(error) => write!(formatter, "os error {}", error.raw_os_error()),
            Self::TooLong => write!(formatter, "it is longer than {LONGEST} bytes"),
            Self::NotOurs => formatter.write_str("it is not a file that this program wrote, or was cut short"),
        }
    }
}

/// Bytes that the temporary file's name is longer than the file's: a point, a point and sixteen digits, `.tmp`.
pub const TEMPORARY_IS_LONGER_BY: usize = 1 + 17 + 4;

/// Room on the disk for a file that is prepared.
#[cfg(target_os = "linux")]
const PREPARED: u64 = 4096;

/// The longest name that a file may have (`NAME_MAX`), and its NUL.
const NAME_ROOM: usize = 256;

impl Place<'_> {
    /// A file without a name, with room on the disk, that a later [`replace`](Self::replace) can put in the place: to make
    /// it takes the disk longer than all the rest. `None` where the file system knows no such files.
    pub fn prepare(&self, readers: Readers) -> Option<OwnedFd> {
        #[cfg(target_os = "linux")]
        {
            let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
            let file = openat(self.directory, c".", flags, Mode::from_raw_mode(0o644)).ok()?;
            readers.admit(&file).ok()?;
            // ext4 gives a file that is renamed over another its room on the disk before it goes on.
            let _ = rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::KEEP_SIZE, 0, PREPARED);
            Some(file)
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = readers;
            None
        }
    }

    /// Puts `bytes` in the place of what was there. A reader sees the old file or the new one, never a part. As long as
    /// the new file, or a copy of it in another helper, is open, [`is_held`](Self::is_held) says so of it.
    ///
    /// # Errors
    /// As open(2), write(2) and rename(2); the old file stands then, and nothing is left beside it.
    pub fn replace(&self, bytes: &[u8], readers: Readers, prepared: Option<OwnedFd>) -> Result<Replaced, Errno> {
        let mut room = [0; NAME_ROOM];
        let temporary = self.temporary_name(&mut room)?;
        let prepared = prepared.filter(|file| write_all(file, bytes).is_ok() && self.name_it(file, temporary).is_ok());
        let new = match prepared {
            Some(file) => file,
            None => self.create(temporary, bytes, readers)?,
        };
        // A file system without locks: then nobody holds it.
        let _ = flock(&new, FlockOperation::NonBlockingLockExclusive);
        let old = self.open().ok();
        if let Err(error) = renameat(self.directory, temporary, self.directory, self.name) {
            let _ = unlinkat(self.directory, temporary, AtFlags::empty());
            return Err(error);
        }
        Ok(Replaced { new, old })
    }

    fn create(&self, temporary: &CStr, bytes: &[u8], readers: Readers) -> Result<OwnedFd, Errno> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = self.without(temporary, || openat(self.directory, temporary, flags, Mode::from_raw_mode(0o644)))?;
        if let Err(error) = readers.admit(&file).and_then(|()| write_all(&file, bytes)) {
            let _ = unlinkat(self.directory, temporary, AtFlags::empty());
            return Err(error);
        }
        Ok(file)
    }

    fn name_it(&self, file: &OwnedFd, temporary: &CStr) -> Result<(), Errno> {
        let mut room = [0; 32];
        let mut path = Buffer::new(&mut room);
        write!(path, "/proc/self/fd/{}\0", file.as_raw_fd()).map_err(|_| Errno::NAMETOOLONG)?;
        let path = CStr::from_bytes_with_nul(&path).map_err(|_| Errno::INVAL)?;
        self.without(temporary, || linkat(CWD, path, self.directory, temporary, AtFlags::SYMLINK_FOLLOW))
    }

    /// Once more, should a helper of this run have died over a file of that name: it has the run's id in it.
    fn without<T>(&self, temporary: &CStr, make: impl Fn() -> Result<T, Errno>) -> Result<T, Errno> {
        match make() {
            Err(Errno::EXIST) => {
                unlinkat(self.directory, temporary, AtFlags::empty())?;
                make()
            }
            result => result,
        }
    }

    /// Whether a helper of the run that wrote the file is alive.
    pub fn is_held(&self) -> bool {
        self.open().is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK))
    }

    /// In a helper that took over: holds the file, as the one that wrote it did.
    pub fn hold(&self) -> Option<OwnedFd> {
        self.open().ok().filter(|file| flock(file, FlockOperation::NonBlockingLockExclusive).is_ok())
    }

    /// A FIFO or a device in its place must not hold us up.
    fn open(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        openat(self.directory, self.name, flags, Mode::empty())
    }

    /// Reads the file into `room`, of [`LONGEST`] bytes, without ever waiting for it. `None` where there is none.
    ///
    /// # Errors
    /// What stands there instead, or why it cannot be read.
    pub fn read<'b>(&self, room: &'b mut [u8]) -> Result<Option<&'b [u8]>, Unreadable> {
        let file = match self.open() {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(Unreadable::Refused(error)),
        };
        let stat = fstat(&file).map_err(Unreadable::Refused)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Unreadable::NotRegular);
        }
        if stat.st_size as u64 > LONGEST as u64 {
            return Err(Unreadable::TooLong);
        }
        let length = read_all(&file, room).map_err(Unreadable::Refused)?;
        Ok(room.get(..length))
    }

    /// Calls `body` while no other run looks at the file or replaces it: what is read and what is replaced then belong
    /// together. A peer that was stopped in there is not waited for longer than 100 ms, nor is a file system without
    /// locks.
    pub fn exclusively<T>(&self, body: impl FnOnce() -> T) -> T {
        let mut locked = false;
        for _ in 0..100 {
            match flock(self.directory, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => locked = true,
                Err(Errno::WOULDBLOCK | Errno::INTR) => {
                    let _ = poll(&mut [], Some(&Timespec { tv_sec: 0, tv_nsec: 1_000_000 }));
                    continue;
                }
                Err(_) => {}
            }
            break;
        }
        let result = body();
        if locked {
            let _ = flock(self.directory, FlockOperation::Unlock);
        }
        result
    }

    /// A hidden name, which `node_exporter` does not read: it reads `*.prom`.
    fn temporary_name<'b>(&self, room: &'b mut [u8; NAME_ROOM]) -> Result<&'b CStr, Errno> {
        let mut name = Buffer::new(room);
        let bytes = self.name.to_bytes();
        let fits = name.extend(b".") == 1
            && name.extend(bytes) == bytes.len()
            && write!(name, ".{:016x}.tmp\0", self.run).is_ok();
        let length = name.len();
        if !fits || name.last() != Some(&0) {
            return Err(Errno::NAMETOOLONG);
        }
        room.get(..length).and_then(|name| CStr::from_bytes_with_nul(name).ok()).ok_or(Errno::INVAL)
    }
}

/// From the start of the file: another helper may have died over it.
fn write_all(file: &OwnedFd, mut rest: &[u8]) -> Result<(), Errno> {
    let length = rest.len() as u64;
    while !rest.is_empty() {
        match rustix::io::pwrite(file, rest, length - rest.len() as u64) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(count) => rest = rest.get(count..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    ftruncate(file, length)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::fd::AsFd;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    struct Directory {
        path: tempfile::TempDir,
        file: File,
    }

    impl Directory {
        fn new() -> Self {
            let path = tempfile::tempdir().unwrap();
            let file = File::open(path.path()).unwrap();
            Self { path, file }
        }

        fn place(&self, run: u64) -> Place<'_> {
            Place { directory: self.file.as_fd(), name: c"job.json", run }
        }

        fn names(&self) -> Vec<String> {
            let names = fs::read_dir(self.path.path()).unwrap();
            let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }

        fn read(&self) -> Result<Option<Vec<u8>>, Unreadable> {
            let mut room = vec![0; LONGEST];
            self.place(1).read(&mut room).map(|bytes| bytes.map(<[u8]>::to_vec))
        }
    }

    #[test]
    fn replaced_and_read_back_with_nothing_left_beside_it() {
        let directory = Directory::new();
        assert_eq!(directory.read(), Ok(None));
        for text in ["one", "", "three is longer"] {
            directory.place(7).replace(text.as_bytes(), Readers::Everybody, None).unwrap();
            assert_eq!(directory.read(), Ok(Some(text.as_bytes().to_vec())));
            assert_eq!(directory.names(), ["job.json"]);
        }
        assert_eq!(fs::metadata(directory.path.path().join("job.json")).unwrap().mode() & 0o7777, 0o644);
    }

    #[test]
    fn what_a_killed_helper_of_this_run_left_is_no_hindrance() {
        let directory = Directory::new();
        let left = directory.path.path().join(".job.json.00000000000000ff.tmp");
        fs::write(&left, "half").unwrap();
        directory.place(0xff).replace(b"whole", Readers::ByUmask, None).unwrap();
        assert_eq!(directory.names(), ["job.json"]);
        assert_eq!(directory.read(), Ok(Some(b"whole".to_vec())));
    }

    #[test]
    fn a_link_is_replaced_and_not_followed() {
        let directory = Directory::new();
        let precious = directory.path.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        symlink(&precious, directory.path.path().join("job.json")).unwrap();
        symlink(&precious, directory.path.path().join(".job.json.0000000000000001.tmp")).unwrap();
        assert_eq!(directory.read(), Err(Unreadable::Refused(Errno::LOOP)));
        directory.place(1).replace(b"status", Readers::Everybody, None).unwrap();
        assert_eq!(fs::read(&precious).unwrap(), b"precious");
        assert_eq!(fs::metadata(&precious).unwrap().permissions().mode() & 0o100_000, 0o100_000);
        assert_eq!(directory.names(), ["job.json", "precious"]);
    }

    #[test]
    fn what_is_no_file_of_ours_is_named_and_nobody_waits() {
        let directory = Directory::new();
        let path = directory.path.path().join("job.json");
        fs::create_dir(&path).unwrap();
        assert_eq!(directory.read(), Err(Unreadable::NotRegular));
        assert_eq!(directory.place(1).replace(b"x", Readers::ByUmask, None).unwrap_err(), Errno::ISDIR);
        assert_eq!(directory.names(), ["job.json"], "the temporary file is gone");
        fs::remove_dir(&path).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &path, Mode::from_raw_mode(0o600)).unwrap();
        assert_eq!(directory.read(), Err(Unreadable::NotRegular));
        fs::remove_file(&path).unwrap();
        fs::write(&path, vec![b' '; LONGEST + 1]).unwrap();
        assert_eq!(directory.read(), Err(Unreadable::TooLong));
        fs::write(&path, vec![b' '; LONGEST]).unwrap();
        assert_eq!(directory.read().unwrap().unwrap().len(), LONGEST);
        assert_eq!(Unreadable::Refused(Errno::LOOP).to_string(), "it is not a regular file");
    }

    #[test]
    fn a_prepared_file_goes_into_the_place_like_any_other() {
        let directory = Directory::new();
        let place = directory.place(7);
        for readers in [Readers::Everybody, Readers::ByUmask] {
            let prepared = place.prepare(readers).unwrap();
            assert_eq!(fstat(&prepared).unwrap().st_nlink, 0);
            // A helper that died with it half written, and one that died before it was renamed.
            rustix::io::write(&prepared, b"longer than what comes").unwrap();
            fs::write(directory.path.path().join(".job.json.0000000000000007.tmp"), "half").unwrap();
            let replaced = place.replace(b"whole", readers, Some(prepared)).unwrap();
            assert_eq!(fstat(&replaced.new).unwrap().st_nlink, 1);
            assert_eq!(directory.read(), Ok(Some(b"whole".to_vec())));
            assert_eq!(directory.names(), ["job.json"]);
            assert!(place.is_held());
        }
        // What was prepared cannot be used: the file is made anew.
        let useless = File::open("/dev/null").unwrap().into();
        place.replace(b"other", Readers::ByUmask, Some(useless)).unwrap();
        assert_eq!(directory.read(), Ok(Some(b"other".to_vec())));
    }

    #[test]
    fn held_as_long_as_a_helper_has_it_open() {
        let directory = Directory::new();
        assert!(!directory.place(1).is_held());
        let held = directory.place(1).replace(b"running", Readers::ByUmask, None).unwrap().new;
        let copy = held.try_clone().unwrap();
        drop(held);
        assert!(directory.place(2).is_held());
        assert_eq!(directory.read(), Ok(Some(b"running".to_vec())));
        drop(copy);
        assert!(!directory.place(2).is_held());
    }

    #[test]
    fn a_directory_that_went_away() {
        let directory = Directory::new();
        fs::remove_dir(directory.path.path()).unwrap();
        assert_eq!(directory.place(1).replace(b"x", Readers::ByUmask, None).unwrap_err(), Errno::NOENT);
        assert_eq!(directory.read(), Ok(None));
    }

    #[test]
    fn the_longest_name_that_fits() {
        let directory = Directory::new();
        for (length, expected) in
            [(255 - TEMPORARY_IS_LONGER_BY, Ok(())), (256 - TEMPORARY_IS_LONGER_BY, Err(Errno::NAMETOOLONG))]
        {
            let name = std::ffi::CString::new("n".repeat(length)).unwrap();
            let place = Place { name: &name, ..directory.place(u64::MAX) };
            assert_eq!(place.replace(b"x", Readers::ByUmask, None).map(drop), expected, "{length}");
        }
    }

    #[test]
    fn a_reader_in_a_loop_never_sees_a_part() {
        let directory = Directory::new();
        let texts: Vec<_> = (0..4_u8).map(|number| vec![b'a' + number; 9_000 + 1_000 * usize::from(number)]).collect();
        directory.place(1).replace(&texts[0], Readers::ByUmask, None).unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for run in 1..=2 {
                let (directory, texts, done) = (&directory, &texts, &done);
                scope.spawn(move || {
                    for round in 0..300 {
                        directory.place(run).replace(&texts[round % 4], Readers::ByUmask, None).unwrap();
                    }
                    done.store(true, Ordering::Relaxed);
                });
            }
            while !done.load(Ordering::Relaxed) {
                let read = directory.read().unwrap().unwrap();
                assert!(texts.contains(&read), "{} bytes", read.len());
            }
        });
        assert_eq!(directory.names(), ["job.json"]);
    }

    #[test]
    fn two_at_once_take_turns_and_a_stopped_one_is_not_waited_for() {
        let directory = Directory::new();
        let held = File::open(directory.path.path()).unwrap();
        flock(&held, FlockOperation::LockExclusive).unwrap();
        let start = std::time::Instant::now();
        assert_eq!(directory.place(1).exclusively(|| 5), 5);
        let waited = start.elapsed().as_millis();
        assert!((90..5_000).contains(&waited), "{waited} ms");
        flock(&held, FlockOperation::Unlock).unwrap();
        directory.place(1).exclusively(|| {
            assert_eq!(flock(&held, FlockOperation::NonBlockingLockExclusive), Err(Errno::WOULDBLOCK));
        });
        flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
    }
}
