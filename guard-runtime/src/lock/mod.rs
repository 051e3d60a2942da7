//! `PipelineLock`: an exclusive `flock`, released by the kernel on any death; the lock file is never deleted.

#[cfg(feature = "postgres")]
pub(crate) mod clock;
#[cfg(feature = "postgres")]
pub(crate) mod cluster;
#[cfg(feature = "postgres")]
mod end_process;
mod holder;
#[cfg(feature = "postgres")]
#[cfg_attr(any(not(target_os = "linux"), guard_portable), path = "kill_timer_portable.rs")]
mod kill_timer;
#[cfg(feature = "postgres")]
pub(crate) mod lost;
#[cfg(feature = "postgres")]
mod postgres;

mod predecessor;

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use fs2::FileExt;
use rustix::fs::Stat;
use rustix::io::Errno;
use rustix::process::Pid;

use guard_collector::{FileId, Refusal, file_kind, planted};

pub use self::holder::{Contention, Holder, Left};
pub(crate) use self::holder::{pid_namespace, recorded_holder};
use self::holder::{read_holder, write_record};
pub(crate) use self::predecessor::Predecessor;
use self::predecessor::helpers_line;
use crate::descriptor::{Descriptor, above_standard};
use crate::fork;

/// Each round means that the file was replaced between our opening and our lock.
const ROUNDS: u32 = 100;
/// Between two tries for a held lock.
const POLL: Duration = Duration::from_millis(15);
/// A holder has the lock before its record is written: it may have to wait for the helpers of the run before it, and for a
/// processor. The loser looks again for so long, so often, until it can say who won.
const RECORD_AWAITED: Duration = predecessor::WAITED_FOR.saturating_add(Duration::from_millis(500));
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// An exclusive lock on a file, for those who want only the lock.
///
/// Held until it is dropped or the process ends, however it ends: the kernel releases an flock(2) with the last
/// descriptor of it. The file stays, and is created with mode 0600 (its directories are made too).
///
/// ```
/// # let directory = tempfile::tempdir().unwrap();
/// # let path = directory.path().join("import.lock");
/// use guard_runtime::{LockError, PipelineLock};
///
/// let lock = PipelineLock::acquire(&path).expect("nobody holds it");
/// let Err(LockError::Held(contention)) = PipelineLock::acquire(&path) else { panic!() };
/// assert_eq!(contention.holder.expect("it is us").pid, std::process::id());
/// drop(lock);
/// assert!(PipelineLock::acquire(&path).is_ok());
/// ```
///
/// # What is detected, and what cannot be
/// * The path of a lock is the lock: two relative paths from two working directories are two locks.
/// * A file that was removed or replaced between the opening and the lock is noticed, and the whole is tried again. One
///   that is removed while it is held is not: the holder keeps its lock on a file without a name, and the next run makes
///   a new file and runs beside it. Never remove a lock file.
/// * On a network file system a lock is as good as the server's. One that takes no locks at all is an error, never a
///   lock.
/// * A link, a FIFO, a socket, a device, or another user's file in a sticky directory such as /tmp is refused.
/// * Code that closes every descriptor it does not know (closefrom(3)) releases the lock. Of a run, its helper takes it again a
///   moment later. A lock by itself is then free for other processes; this one is refused it while the value lives.
/// * A child that the program forks keeps no copy of the lock. One that is caught between fork and exec when the holder
///   is killed keeps it until the exec.
#[derive(Debug)]
pub struct PipelineLock {
    file: Descriptor,
    path: PathBuf,
    /// Of a run that died with its helpers, until that is told.
    predecessor: Option<Predecessor>,
    common_record: String,
    /// A forked child has a copy of this value, but the lock is not its own.
    pid: u32,
}

/// Why a lock could not be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum LockError {
    /// Another run holds it.
    Held(Contention),
    /// It could not be tried: never counted as held, and never as free.
    Unusable(UnusableLock),
}

/// A lock that could not be tried.
#[derive(Debug)]
#[non_exhaustive]
pub struct UnusableLock {
    /// The lock file.
    pub path: PathBuf,
    /// What was tried, as in "cannot open".
    pub action: &'static str,
    /// The type of the file system, where it is the file system that takes no locks.
    pub file_system: Option<String>,
    /// What the system said.
    pub error: io::Error,
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(contention) => contention.fmt(f),
            Self::Unusable(unusable) => unusable.fmt(f),
        }
    }
}

impl fmt::Display for UnusableLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, action, file_system, error } = self;
        let on = file_system.as_ref().map(|name| format!(" on {name}")).unwrap_or_default();
        write!(f, "{action} the lock file {}{on}: {error}; {}", path.display(), remedy(error))
    }
}

// Each message says it all: with a source beside it, a chain of errors would say that twice.
impl std::error::Error for LockError {}
impl std::error::Error for UnusableLock {}

/// What to do about a file that cannot be used.
pub(crate) fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied if error.raw_os_error() == Some(libc::EPERM) => {
            "the file or its directory may be immutable or append-only: look with lsattr, change it with chattr"
        }
        ErrorKind::PermissionDenied => "run as a user who may write there, or choose another path",
        ErrorKind::NotADirectory | ErrorKind::AlreadyExists => {
            "something in the path is not a directory: choose another path"
        }
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only: choose a path that can be written",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room there, or choose another path",
        _ => match error.raw_os_error() {
            Some(libc::ENOLCK | libc::EOPNOTSUPP | libc::ENOSYS | libc::EBADF | libc::EIO) => {
                "choose a path on a local file system, which takes locks"
            }
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EAGAIN) => "raise the limit that was reached",
            _ => "choose a path where a file can be made",
        },
    }
}

impl PipelineLock {
    /// Takes the lock at once, or says who holds it; a holder that is not known is looked for up to 1.5 s.
    ///
    /// The path is used as it is (templates are [`Config`](crate::Config)'s). The file's record is written only once
    /// the lock is held: a loser changes not a byte of it.
    ///
    /// # Errors
    /// [`LockError::Held`] where another run holds it; [`LockError::Unusable`] for everything else: a directory that
    /// cannot be made, something in the file's place that is not a regular file, a file system without locks.
    pub fn acquire(path: impl AsRef<Path>) -> Result<Self, LockError> {
        Self::acquire_or_know(path.as_ref(), RECORD_AWAITED)
    }

    /// An unknown holder is looked for so long.
    fn acquire_or_know(path: &Path, patience: Duration) -> Result<Self, LockError> {
        let start = Instant::now();
        loop {
            match Self::try_once(path) {
                Err(LockError::Held(Contention { holder: None, .. })) if start.elapsed() < patience => {
                    std::thread::sleep(BETWEEN_LOOKS);
                }
                result => return result,
            }
        }
    }

    fn try_once(path: &Path) -> Result<Self, LockError> {
        let unusable = |action| {
            move |error| {
                LockError::Unusable(UnusableLock { path: path.to_path_buf(), action, file_system: None, error })
            }
        };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(unusable("cannot make the directory of"))?;
        }
        for _ in 0..ROUNDS {
            let mut file = open(path).map_err(unusable("cannot open"))?;
            match try_lock(&file) {
                // Where this process has it already, its code has closed the lock's descriptor: that is no way to release it.
                Ok(true) if !FileId::of(&file).is_some_and(fork::has) => {}
                Ok(_) => {
                    let holder = read_holder(&mut file);
                    return Err(LockError::Held(Contention { path: path.to_path_buf(), holder }));
                }
                Err(error) => {
                    let (path, file_system) = (path.to_path_buf(), file_system(&file));
                    return Err(LockError::Unusable(UnusableLock { path, action: "cannot lock", file_system, error }));
                }
            }
            if still_names(path, &file).map_err(unusable("cannot look at"))? {
                let predecessor = predecessor::without_a_trace(&mut file);
                let common_record = write_record(&file).map_err(unusable("cannot write to"))?;
                let (file, path) = (Descriptor::not_for_children(file.into()), path.to_path_buf());
                return Ok(Self { file, path, predecessor, common_record, pid: std::process::id() });
            }
        }
        Err(unusable("cannot lock")(io::Error::other("it was replaced each time it was locked")))
    }

    /// As [`acquire`](Self::acquire), but keeps trying for so long, by the monotonic clock. `announce` is called once,
    /// before the wait, with what is known of the holder then.
    ///
    /// # Errors
    /// As [`acquire`](Self::acquire); [`LockError::Held`] once the time is over.
    pub fn acquire_within(
        path: impl AsRef<Path>,
        patience: Duration,
        announce: impl FnOnce(&Contention),
    ) -> Result<Self, LockError> {
        let (path, start) = (path.as_ref(), Instant::now());
        let mut announce = Some(announce);
        loop {
            // flock(2) itself could wait, but only for ever: a time limit for it takes a signal.
            let look = RECORD_AWAITED.min(patience);
            let result = if announce.is_some() { Self::acquire_or_know(path, look) } else { Self::try_once(path) };
            match result {
                Err(LockError::Held(contention)) => {
                    let left = patience.saturating_sub(start.elapsed());
                    if left.is_zero() {
                        return Err(LockError::Held(contention));
                    }
                    if let Some(announce) = announce.take() {
                        announce(&contention);
                    }
                    std::thread::sleep(left.min(POLL));
                }
                result => return result,
            }
        }
    }

    /// Adds to the record what this holder waits for before its run begins; returns the length that it had. Best effort:
    /// the record tells, and decides nothing.
    #[cfg(feature = "postgres")]
    pub(crate) fn tell_waiting(&self, what: &str) -> u64 {
        let length = rustix::fs::fstat(&self.file).map_or(0, |stat| stat.st_size as u64);
        let line = format!("waits_for={}\n", what.replace('\n', "?"));
        let _ = rustix::io::pwrite(&self.file, line.as_bytes(), length);
        length
    }

    /// Cuts the record to the length that it had.
    #[cfg(feature = "postgres")]
    pub(crate) fn tell_no_more(&self, length: u64) {
        let _ = rustix::fs::ftruncate(&self.file, length);
    }

    /// The run that held the lock before, where it and its helpers ended without a trace.
    pub(crate) fn predecessor(&self) -> Option<&Predecessor> {
        self.predecessor.as_ref()
    }

    /// That stands in the log now. Until then its record comes back when this lock is released, for a later run to tell of it.
    pub(crate) fn forget_predecessor(&mut self) {
        self.predecessor = None;
    }

    /// The lines of the record that it has in common with that of a helper that keeps the lock for what is left of a run.
    pub(crate) fn common_record(&self) -> &str {
        &self.common_record
    }

    /// A run has helpers: should it die, they write how, and say in the record that they have.
    pub(crate) fn tell_helpers(&self, first: Pid) {
        let length = rustix::fs::fstat(&self.file).map_or(0, |stat| stat.st_size as u64);
        // Where there was no room for a record, there is none for this.
        if length > 0 {
            let _ = rustix::io::pwrite(&self.file, helpers_line(first).as_bytes(), length);
        }
    }

    /// Empties the record and unlocks, in the process that took the lock; does nothing in a forked child.
    pub(crate) fn release(&self) {
        // Neither a forked child's copy nor, after a closefrom(3), somebody else's file.
        if self.pid == std::process::id() && self.file.is_ours() {
            // The record of one who no longer holds the lock must not be taken for the next holder's.
            let _ = rustix::fs::ftruncate(&self.file, 0);
            if let Some(lost) = &self.predecessor {
                lost.put_back(&self.file);
            }
            // Explicitly: a child caught between fork and exec has a copy of the descriptor for a moment.
            let _ = rustix::fs::flock(&self.file, rustix::fs::FlockOperation::Unlock);
        }
    }

    /// The lock file, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PipelineLock {
    fn drop(&mut self) {
        self.release();
    }
}

/// Only a regular file, without following a link in the last component, without ever blocking.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    options.read(true).write(true).mode(0o600).custom_flags(flags);
    let described = |error: io::Error| match error.raw_os_error() {
        // What O_NOFOLLOW says of a link (open(2)), and writing of a directory, in words of this place.
        Some(libc::ELOOP) => io::Error::other("is a symbolic link, not a regular file"),
        Some(libc::EISDIR) => io::Error::other("is a directory, not a regular file"),
        Some(libc::ENXIO) => io::Error::other("is a socket or a device, not a regular file"),
        _ => error,
    };
    let file = match options.clone().create_new(true).open(path) {
        Ok(file) => {
            // Whatever the umask took away.
            file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
            file
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => options.create(true).open(path).map_err(described)?,
        Err(error) => return Err(described(error)),
    };
    let stat = rustix::fs::fstat(&file)?;
    match refusal(path, &stat)? {
        None => Ok(above_standard(file.into())?.into()),
        Some(refusal) => Err(io::Error::other(refusal.to_string())),
    }
}

/// Why the file at that path is not to be written: its kind, or somebody else may have put it there for us.
pub(crate) fn refusal(path: &Path, file: &Stat) -> io::Result<Option<Refusal>> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok(file_kind(file).map(Refusal::NotRegular).or(planted(file, &rustix::fs::stat(parent)?)))
}

/// Whether something is at that path; nothing is opened or made.
///
/// # Errors
/// What is there is not to be written, or cannot be looked at.
pub(crate) fn is_there(path: &Path) -> io::Result<bool> {
    match rustix::fs::lstat(path) {
        Ok(stat) => match refusal(path, &stat)? {
            Some(refusal) => Err(io::Error::other(refusal.to_string())),
            None => Ok(true),
        },
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether the lock was had. Every error but contention is one.
fn try_lock(file: &File) -> io::Result<bool> {
    loop {
        match FileExt::try_lock_exclusive(file) {
            Ok(()) => return Ok(true),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.raw_os_error() == fs2::lock_contended_error().raw_os_error() => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

/// The type of the file system that a file lies on, and where that is mounted (proc(5), mountinfo).
fn file_system(file: &File) -> Option<String> {
    let device = rustix::fs::fstat(file).ok()?.st_dev;
    let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(2);
        let is_this = fields.next()? == device;
        let place = fields.nth(1)?;
        is_this.then(|| format!("{} mounted at {place}", kind.split(' ').next().unwrap_or_default()))
    })
}

/// A file that was removed or replaced after it was opened locks nobody out.
fn still_names(path: &Path, file: &File) -> io::Result<bool> {
    match rustix::fs::lstat(path) {
        Ok(named) => Ok(Some(FileId::from(&named)) == FileId::of(file)),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_about_it() {
        for (number, advice) in [
            (libc::EACCES, "run as a user who may write there"),
            (libc::EPERM, "lsattr"),
            (libc::ENOTDIR, "is not a directory"),
            (libc::EROFS, "read-only"),
            (libc::ENOSPC, "make room"),
            (libc::EDQUOT, "make room"),
            (libc::ENOLCK, "local file system"),
            (libc::EIO, "local file system"),
            (libc::EMFILE, "raise the limit"),
            (libc::ENXIO, "choose a path where a file can be made"),
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert!(remedy(&error).contains(advice), "{error}");
        }
    }

    #[test]
    fn created_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.lock");
        let lock = PipelineLock::acquire(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(lock.path(), path);
    }

    #[test]
    fn what_is_no_regular_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("victim");
        std::fs::write(&victim, "precious").unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        for (path, kind) in [
            (link.as_path(), "a symbolic link"),
            (directory.path(), "a directory"),
            (Path::new("/dev/null"), "a character device"),
        ] {
            let error = PipelineLock::acquire(path).unwrap_err().to_string();
            assert!(error.contains(kind), "{error}");
        }
        assert_eq!(std::fs::read_to_string(victim).unwrap(), "precious");
    }
}
