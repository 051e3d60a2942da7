//! `PipelineLock`: an exclusive `flock`, released by the kernel on any death; the lock file is never deleted.

#[cfg(feature = "postgres")]
pub(crate) mod clock;
#[cfg(feature = "postgres")]
pub(crate) mod cluster;
#[cfg(feature = "postgres")]
mod end_process;
#[cfg(feature = "postgres")]
#[cfg_attr(any(not(target_os = "linux"), guard_portable), path = "kill_timer_portable.rs")]
mod kill_timer;
#[cfg(feature = "postgres")]
mod postgres;

mod predecessor;

use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use fs2::FileExt;
use rustix::fs::Stat;
use rustix::io::Errno;
use rustix::process::Pid;

use guard_collector::{FileId, Refusal, Stamper, file_kind, now, planted, since_boot, without_size_signal};

pub(crate) use self::predecessor::Predecessor;
use self::predecessor::helpers_line;
use crate::descriptor::{Descriptor, above_standard};
use crate::fork;

/// Each round means that the file was replaced between our opening and our lock.
const ROUNDS: u32 = 100;
/// Between two tries for a held lock.
const POLL: Duration = Duration::from_millis(15);
/// A holder has the lock before its record is written: of two runs that start at once, the loser looks again for so long, so
/// often, until it can say who won.
const RECORD_AWAITED: Duration = Duration::from_millis(200);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
/// A holder that cannot be seen (another pid namespace, another machine) has its helper touch the lock file once a minute:
/// one that was not touched for so long is not known to live.
const SIGN_OF_LIFE: Duration = Duration::from_secs(150);
/// A holder's record is a few lines; whatever is longer is not one.
const RECORD_LIMIT: u64 = 4096;

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
    /// Of a run that died with its helpers.
    predecessor: Option<Predecessor>,
    /// A forked child has a copy of this value, but the lock is not its own.
    pid: u32,
}

/// Who holds a lock, from the record in the lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Its program's path, as it was called.
    pub program: String,
    /// The host it runs on.
    pub host: String,
    /// When it took the lock: RFC 3339, UTC, microseconds.
    pub started: String,
    /// How long ago that was: by the time since the boot, or of a holder on another machine by the system's clock.
    pub age: Duration,
    /// What it still waits for before its run begins: the cluster lock, which another machine's run holds.
    pub waits_for: Option<String>,
    /// It runs in another pid namespace or on another machine: `pid` is its number there. That it lives is known from the
    /// lock file, which its helper touches once a minute.
    pub elsewhere: bool,
    /// The run itself is dead: its helper holds the lock for what is left of it, since its death.
    pub left: Option<Left>,
}

/// What is left of a run that died.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Left {
    /// The run's process, which is dead.
    pub pid: u32,
    /// Those of its processes that live, as far as they could be found: `pid 4711 (rsync), pid 4712 (sh) and 12 more`.
    pub processes: String,
}

/// The lock is held by another process, or by another part of this one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Contention {
    /// The lock file.
    pub path: PathBuf,
    /// Its holder, where the record in the file is known to be the living holder's. It never decides who holds the lock.
    pub holder: Option<Holder>,
}

impl fmt::Display for Contention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is held by ", self.path.display())?;
        match &self.holder {
            None => f.write_str("an unknown process"),
            Some(holder) => f.write_str(&holder.told(format_args!("{:.3}s", holder.age.as_secs_f64()))),
        }
    }
}

impl Holder {
    /// The holder in words, its age in those of the caller.
    pub(crate) fn told(&self, age: impl fmt::Display) -> String {
        let Self { pid, program, host, started, elsewhere, waits_for, left, .. } = self;
        if let Some(Left { pid, processes }) = left {
            return format!("what is left of pid {pid}, which died {started}, {age} ago: {processes}");
        }
        let place =
            if *elsewhere { format!("of another pid namespace or machine (host {host}) ") } else { String::new() };
        let waits = waits_for.as_ref().map(|what| format!(", waiting for {what}")).unwrap_or_default();
        format!("pid {pid} {place}({program}), started {started}, {age} ago{waits}")
    }
}

/// Why a lock could not be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum LockError {
    /// Another run holds it.
    Held(Contention),
    /// It could not be tried: never counted as held, and never as free.
    #[non_exhaustive]
    Unusable {
        /// The lock file.
        path: PathBuf,
        /// What was tried, as in "cannot open".
        action: &'static str,
        /// The type of the file system, where it is the file system that takes no locks.
        file_system: Option<String>,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held(contention) => contention.fmt(f),
            Self::Unusable { path, action, file_system, source } => {
                let on = file_system.as_ref().map(|name| format!(" on {name}")).unwrap_or_default();
                write!(f, "{action} the lock file {}{on}: {source}; {}", path.display(), remedy(source))
            }
        }
    }
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Held(_) => None,
            Self::Unusable { source, .. } => Some(source),
        }
    }
}

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
    /// Takes the lock at once, or says who holds it; a holder that is not known is looked for up to 200 ms.
    ///
    /// The path is used as it is (templates are [`Config`](crate::Config)'s). The file's record is written only once
    /// the lock is held: a loser changes not a byte of it.
    ///
    /// # Errors
    /// [`LockError::Held`] where another run holds it; [`LockError::Unusable`] for everything else: a directory that
    /// cannot be made, something in the file's place that is not a regular file, a file system without locks.
    pub fn acquire(path: impl AsRef<Path>) -> Result<Self, LockError> {
        let (path, start) = (path.as_ref(), Instant::now());
        loop {
            match Self::try_once(path) {
                Err(LockError::Held(Contention { holder: None, .. })) if start.elapsed() < RECORD_AWAITED => {
                    std::thread::sleep(BETWEEN_LOOKS);
                }
                result => return result,
            }
        }
    }

    fn try_once(path: &Path) -> Result<Self, LockError> {
        let unusable =
            |action| move |source| LockError::Unusable { path: path.to_path_buf(), action, file_system: None, source };
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
                Err(source) => {
                    let (path, file_system) = (path.to_path_buf(), file_system(&file));
                    return Err(LockError::Unusable { path, action: "cannot lock", file_system, source });
                }
            }
            if still_names(path, &file).map_err(unusable("cannot look at"))? {
                let predecessor = predecessor::without_a_trace(&mut file);
                write_record(&file).map_err(unusable("cannot write to"))?;
                let (file, path) = (Descriptor::not_for_children(file.into()), path.to_path_buf());
                return Ok(Self { file, path, predecessor, pid: std::process::id() });
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
            match Self::acquire(path) {
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

/// Tells losers who holds it. It never decides who does.
fn write_record(mut file: &File) -> io::Result<()> {
    let (pid, started) = (std::process::id(), now());
    let record = format!(
        "pid={pid}\nstarted={}\nstarted_us={started}\nstarted_after_boot_us={}\nbirth={}\n{}",
        String::from_utf8_lossy(Stamper::default().stamp(started)),
        since_boot(),
        birth(pid).unwrap_or(0),
        common_record(),
    );
    file.set_len(0)?;
    match without_size_signal(|| file.write_all(record.as_bytes())) {
        // No room (or no more of it for this process): losers then know of no holder, and that is all.
        Err(error)
            if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge) =>
        {
            file.set_len(0)
        }
        result => result,
    }
}

/// What the record of a run has in common with that of a helper that keeps the lock for what is left of it.
pub(crate) fn common_record() -> String {
    format!(
        "host={}\nboot={}\npid_namespace={}\nprogram={}\n",
        rustix::system::uname().nodename().to_string_lossy(),
        boot_id(),
        pid_namespace(),
        std::env::args_os().next().unwrap_or_default().display().to_string().replace(['\n', '\0'], "?"),
    )
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

/// Who holds the lock by its file's record. The file is read: no lock is tried, and none is made.
///
/// # Errors
/// As [`is_there`], and what keeps the file from being read.
pub(crate) fn recorded_holder(path: &Path) -> io::Result<Option<Holder>> {
    if !is_there(path)? {
        return Ok(None);
    }
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    Ok(read_holder(&mut File::options().read(true).custom_flags(flags).open(path)?))
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

/// The record, if it is the living holder's for sure.
fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(RECORD_LIMIT).read_to_string(&mut text).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let pid = field("pid")?.parse().ok()?;
    let started: u64 = field("started_us")?.parse().ok()?;
    let birth_recorded: u64 = field("birth")?.parse().ok()?;
    let same_boot = field("boot")? == boot_id() && !boot_id().is_empty();
    let elsewhere = !same_boot || field("pid_namespace")? != pid_namespace();
    // The time of its birth tells a process from a later one with the same number.
    let lives = if elsewhere { was_touched_lately(file) } else { birth(pid) == Some(birth_recorded) };
    if !lives {
        return None;
    }
    // The system's clock may have been set since; what has passed since the boot cannot be.
    let age = match field("started_after_boot_us").and_then(|started| started.parse().ok()) {
        Some(started) if same_boot => since_boot().saturating_sub(started),
        _ => now().saturating_sub(started),
    };
    Some(Holder {
        pid,
        program: field("program")?.to_owned(),
        host: field("host")?.to_owned(),
        started: field("started")?.to_owned(),
        age: Duration::from_micros(age),
        elsewhere,
        left: field("left_of").and_then(|pid| {
            Some(Left { pid: pid.parse().ok()?, processes: field("left").unwrap_or_default().to_owned() })
        }),
        waits_for: field("waits_for").map(str::to_owned),
    })
}

/// Or a while ahead, where another machine's clock is.
fn was_touched_lately(file: &File) -> bool {
    let Ok(touched) = file.metadata().and_then(|file| file.modified()) else { return false };
    let now = SystemTime::now();
    now.duration_since(touched).unwrap_or_else(|error| error.duration()) < SIGN_OF_LIFE
}

fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

fn pid_namespace() -> String {
    std::fs::read_link("/proc/self/ns/pid").unwrap_or_default().display().to_string()
}

/// When a living process was started, in clock ticks since the boot (proc(5), field 22 of stat).
fn birth(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain anything, parentheses included.
    let (_, behind_name) = stat.rsplit_once(')')?;
    behind_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder_of(text: &str) -> Option<Holder> {
        holder_touched(text, Duration::ZERO)
    }

    fn holder_touched(text: &str, ago: Duration) -> Option<Holder> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.lock");
        std::fs::write(&path, text).unwrap();
        let mut file = File::options().read(true).write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - ago).unwrap();
        read_holder(&mut file)
    }

    #[test]
    fn only_the_living_holders_record_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er/a.lock");
        let lock = PipelineLock::acquire(&path).unwrap();
        let record = std::fs::read_to_string(&path).unwrap();
        assert_eq!(holder_of(&record).unwrap().pid, std::process::id());

        let birth = birth(std::process::id()).unwrap();
        let other_birth = record.replace(&format!("birth={birth}"), &format!("birth={}", birth + 1));
        let dead = record.replace(&format!("pid={}\n", std::process::id()), "pid=4194305\n");
        for text in ["", "garbage", "pid=\n", &record[..20], &other_birth, &dead] {
            assert_ne!(text, record);
            assert_eq!(holder_of(text), None, "{text}");
        }
        drop(lock);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "", "it exists, and names nobody");
    }

    /// Whom this process cannot look at lives if the file was touched lately.
    #[test]
    fn a_holder_elsewhere_gives_a_sign_of_life() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.lock");
        let _lock = PipelineLock::acquire(&path).unwrap();
        let record = std::fs::read_to_string(&path).unwrap();
        let other_boot = record.replace("\nboot=", "\nboot=x");
        let other_namespace = record.replace("\npid_namespace=", "\npid_namespace=x");
        for text in [other_boot, other_namespace] {
            assert_ne!(text, record);
            let holder = holder_touched(&text, Duration::from_secs(100)).unwrap();
            assert!(holder.elsewhere && holder.age < Duration::from_secs(60), "{holder:?}");
            let told = Contention { path: path.clone(), holder: Some(holder) }.to_string();
            assert!(told.contains("of another pid namespace or machine (host "), "{told}");
            assert_eq!(holder_touched(&text, Duration::from_secs(200)), None, "{text}");
        }
        assert!(!holder_touched(&record, Duration::from_secs(200)).unwrap().elsewhere, "this one can be looked at");
    }

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
