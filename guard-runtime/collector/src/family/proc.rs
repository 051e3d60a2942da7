//! What /proc tells of a process: its stat line, its descriptors. Read into memory of the caller.

use core::ffi::CStr;
use core::fmt::{self, Display};
use core::mem::MaybeUninit;
use core::ops::ControlFlow;
use core::str;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Stat as FileStat, open, openat, readlinkat_raw, statat};
use rustix::io::Errno;
use rustix::process::getpid;

/// Signals 1 to 31 without SIGKILL and SIGSTOP, which cannot be blocked.
const ALL_SIGNALS: u64 = 0x7fff_ffff & !(1 << (9 - 1)) & !(1 << (19 - 1));
/// `PF_KTHREAD` of Linux's `sched.h`.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// Why no process can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Blind {
    /// No /proc is mounted, or not one of this process's own pid namespace: its numbers mean other processes.
    NoProc,
    /// The system refused a descriptor or the memory for one.
    Refused(Errno),
    /// There is no `pidfd_open(2)`: Linux before 5.3, or a sandbox.
    NoPidfd,
}

impl Display for Blind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProc => f.write_str("no /proc of this pid namespace is mounted"),
            Self::Refused(error) => write!(f, "os error {}", error.raw_os_error()),
            Self::NoPidfd => f.write_str("the system has no pidfd_open"),
        }
    }
}

/// A captured stream, as the programs that have it open see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamId {
    /// All pipes are on one file system, so the inode alone tells.
    Pipe {
        /// Of both ends.
        inode: u64,
    },
    /// The programs' end of a pseudo-terminal.
    Terminal {
        /// Of the devpts that it is on: there may be several, each with a terminal of the same number.
        file_system: u64,
        /// The device itself.
        device: u64,
    },
}

impl StreamId {
    /// Of the end that the run's programs write to; nothing where it is neither a pipe nor a terminal.
    pub fn of(stat: &FileStat) -> Option<Self> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Fifo => Some(Self::Pipe { inode: stat.st_ino }),
            FileType::CharacterDevice => Some(Self::Terminal { file_system: stat.st_dev, device: stat.st_rdev }),
            _ => None,
        }
    }
}

/// One line of /proc/PID/stat (proc(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) name: Name,
    state: u8,
    pub(super) parent: i32,
    flags: u64,
    threads: u64,
    /// Clock ticks from the boot to the process's start.
    pub(super) birth: u64,
    /// The signals 1 to 31 that its first thread blocks.
    blocked: u64,
}

/// As the kernel keeps it: at most 15 bytes, and any bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name {
    bytes: [u8; 15],
    length: u8,
}

impl Name {
    pub(super) const EMPTY: Self = Self { bytes: [0; 15], length: 0 };

    fn new(name: &[u8]) -> Self {
        let mut bytes = [0; 15];
        for (to, from) in bytes.iter_mut().zip(name) {
            *to = *from;
        }
        Self { bytes, length: name.len().min(15) as u8 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl Stat {
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        // The name may contain anything, parentheses and spaces included.
        let open = memchr::memchr(b'(', line)?;
        let close = memchr::memrchr(b')', line)?;
        let name = Name::new(line.get(open + 1..close)?);
        let mut fields = line.get(close + 2..)?.split(|byte| *byte == b' ');
        let state = *fields.next()?.first()?;
        // Fields are numbered from 1 in proc(5); the state is 3.
        let parent = i32::try_from(number(fields.next()?)?).ok()?;
        let flags = number(fields.nth(9 - 5)?)?;
        let threads = number(fields.nth(20 - 10)?)?;
        let birth = number(fields.nth(22 - 21)?)?;
        let blocked = number(fields.nth(32 - 23)?)?;
        Some(Self { name, state, parent, flags, threads, birth, blocked })
    }

    /// Dead and not yet reaped. (The first thread of a living process may be dead: the others go on.)
    pub(super) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X') && self.threads <= 1
    }

    pub(super) fn is_kernel_thread(&self) -> bool {
        self.flags & KERNEL_THREAD != 0
    }

    /// A helper of some run: by the name that it gives itself, and because it alone blocks every signal for life.
    pub(super) fn is_helper(&self) -> bool {
        self.name.bytes().starts_with(b"guard-") && self.blocked & ALL_SIGNALS == ALL_SIGNALS
    }
}

/// Whether a process has one of the streams open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Yes,
    No,
    /// Another user's, or one that gave itself more rights.
    Unreadable,
}

/// /proc, of this process's own pid namespace.
pub(super) struct Proc(OwnedFd);

impl Proc {
    pub(super) fn open() -> Result<Self, Blind> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(c"/proc", flags, Mode::empty()).map_err(|error| match error {
            Errno::NOENT | Errno::NOTDIR | Errno::ACCESS => Blind::NoProc,
            error => Blind::Refused(error),
        })?;
        let mut text = [MaybeUninit::uninit(); 16];
        let is_ours = match readlinkat_raw(&directory, c"self", &mut text) {
            Ok((text, _)) => number(text) == u64::try_from(getpid().as_raw_nonzero().get()).ok(),
            Err(_) => false,
        };
        if is_ours { Ok(Self(directory)) } else { Err(Blind::NoProc) }
    }

    /// Calls `visit` with every pid there is, in ascending order, until it breaks or fails.
    pub(super) fn each_process(
        &self,
        entries: &mut [MaybeUninit<u8>],
        mut visit: impl FnMut(i32) -> Result<(), Blind>,
    ) -> Result<(), Blind> {
        let _ = rustix::fs::seek(&self.0, rustix::fs::SeekFrom::Start(0));
        each_number(self.0.as_fd(), entries, |pid| match visit(pid) {
            Ok(()) => ControlFlow::Continue(()),
            Err(blind) => ControlFlow::Break(blind),
        })
        .map_err(Blind::Refused)?
        .map_or(Ok(()), Err)
    }

    /// Nothing where there is no such process (any more).
    pub(super) fn stat(&self, pid: i32) -> Result<Option<Stat>, Blind> {
        let mut path = [0; PATH_LENGTH];
        let Some(path) = path_of(&mut path, pid, b"/stat") else { return Ok(None) };
        let file = match openat(&self.0, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => file,
            Err(error) => return if is_shortage(error) { Err(Blind::Refused(error)) } else { Ok(None) },
        };
        // The longest line there can be: 52 numbers of up to 20 digits would be 1,092 bytes.
        let mut line = [MaybeUninit::uninit(); 1280];
        match rustix::io::read(&file, &mut line) {
            Ok((line, _)) => Ok(Stat::parse(line)),
            Err(_) => Ok(None),
        }
    }

    /// Looks through a process's descriptors.
    pub(super) fn holds(
        &self,
        pid: i32,
        stat: &Stat,
        streams: &[Option<StreamId>; 2],
        entries: &mut [MaybeUninit<u8>],
    ) -> Result<Holds, Blind> {
        if stat.is_kernel_thread() {
            return Ok(Holds::No);
        }
        let mut path = [0; PATH_LENGTH];
        let has_leader = !matches!(stat.state, b'Z' | b'X');
        if has_leader && let Some(path) = path_of(&mut path, pid, b"/fd") {
            return self.directory_holds(self.0.as_fd(), path, streams, entries);
        }
        // The descriptors of a process whose first thread has ended are seen through another thread alone.
        let Some(path) = path_of(&mut path, pid, b"/task") else { return Ok(Holds::No) };
        let Some(tasks) = directory(self.0.as_fd(), path)?.ok() else { return Ok(Holds::No) };
        let Some((threads, entries)) = entries.split_at_mut_checked(entries.len() / 2) else { return Ok(Holds::No) };
        let looked = each_number(tasks.as_fd(), threads, |thread| {
            let mut path = [0; PATH_LENGTH];
            let Some(path) = path_of(&mut path, thread, b"/fd").filter(|_| thread != pid) else {
                return ControlFlow::Continue(());
            };
            match self.directory_holds(tasks.as_fd(), path, streams, entries) {
                Ok(Holds::No) => ControlFlow::Continue(()),
                result => ControlFlow::Break(result),
            }
        });
        looked.ok().flatten().unwrap_or(Ok(Holds::No))
    }

    #[allow(clippy::unused_self, reason = "a question to /proc like the others")]
    fn directory_holds(
        &self,
        parent: BorrowedFd<'_>,
        path: &CStr,
        streams: &[Option<StreamId>; 2],
        entries: &mut [MaybeUninit<u8>],
    ) -> Result<Holds, Blind> {
        let descriptors = match directory(parent, path)? {
            Ok(directory) => directory,
            Err(Errno::ACCESS | Errno::PERM) => return Ok(Holds::Unreadable),
            Err(_) => return Ok(Holds::No),
        };
        let looked = each_name(descriptors.as_fd(), entries, |name| {
            match leads_to_one_of(descriptors.as_fd(), name, streams) {
                Ok(true) => ControlFlow::Break(Holds::Yes),
                // Of a user's process that has capabilities beyond the user's, the directory can be listed all the same.
                Err(Errno::ACCESS | Errno::PERM) => ControlFlow::Break(Holds::Unreadable),
                Ok(false) | Err(_) => ControlFlow::Continue(()),
            }
        });
        Ok(looked.ok().flatten().unwrap_or(Holds::No))
    }
}

/// The link's text tells most descriptors from the stream without a look at the file itself, which costs more.
fn leads_to_one_of(descriptors: BorrowedFd<'_>, name: &CStr, streams: &[Option<StreamId>; 2]) -> Result<bool, Errno> {
    let mut text = [MaybeUninit::uninit(); 64];
    let (text, _) = readlinkat_raw(descriptors, name, &mut text)?;
    let pipe = text.strip_prefix(b"pipe:[").and_then(|text| text.strip_suffix(b"]")).and_then(number);
    // As /dev/pts/3, or /3 where its mount cannot be seen from here.
    let may_be_terminal = || {
        let last = text.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        text.starts_with(b"/") && number(last).is_some()
    };
    Ok(streams.iter().flatten().any(|stream| match *stream {
        StreamId::Pipe { inode } => pipe == Some(inode),
        StreamId::Terminal { file_system, device } => {
            may_be_terminal()
                && statat(descriptors, name, AtFlags::empty())
                    .is_ok_and(|stat| (stat.st_dev, stat.st_rdev) == (file_system, device))
        }
    }))
}

/// The outer error is ours, the inner one the process's.
fn directory(parent: BorrowedFd<'_>, path: &CStr) -> Result<Result<OwnedFd, Errno>, Blind> {
    match openat(parent, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Err(error) if is_shortage(error) => Err(Blind::Refused(error)),
        result => Ok(result),
    }
}

pub(super) fn is_shortage(error: Errno) -> bool {
    matches!(error, Errno::MFILE | Errno::NFILE | Errno::NOMEM)
}

/// Entries that are numbers: processes, threads.
fn each_number<T>(
    directory: BorrowedFd<'_>,
    entries: &mut [MaybeUninit<u8>],
    mut visit: impl FnMut(i32) -> ControlFlow<T>,
) -> Result<Option<T>, Errno> {
    each_name(directory, entries, |name| match number(name.to_bytes()).and_then(|number| i32::try_from(number).ok()) {
        Some(number) => visit(number),
        None => ControlFlow::Continue(()),
    })
}

/// Entries but `.` and `..`, until `visit` breaks.
fn each_name<T>(
    directory: BorrowedFd<'_>,
    entries: &mut [MaybeUninit<u8>],
    mut visit: impl FnMut(&CStr) -> ControlFlow<T>,
) -> Result<Option<T>, Errno> {
    let mut directory = RawDir::new(directory, entries);
    while let Some(entry) = directory.next() {
        let entry = entry?;
        if !entry.file_name().to_bytes().starts_with(b".")
            && let ControlFlow::Break(result) = visit(entry.file_name())
        {
            return Ok(Some(result));
        }
    }
    Ok(None)
}

/// `4194304/stat`, and room.
const PATH_LENGTH: usize = 24;

fn path_of<'a>(path: &'a mut [u8; PATH_LENGTH], pid: i32, file: &[u8]) -> Option<&'a CStr> {
    let mut digits = [0; 20];
    let (start, rest) = path.split_at_mut_checked(decimal(&mut digits, u64::try_from(pid).ok()?).len())?;
    start.copy_from_slice(decimal(&mut digits, u64::try_from(pid).ok()?));
    rest.get_mut(..file.len())?.copy_from_slice(file);
    CStr::from_bytes_until_nul(path).ok()
}

/// The number's digits.
pub(super) fn decimal(digits: &mut [u8; 20], mut value: u64) -> &[u8] {
    let mut used = 0;
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
        used += 1;
        if value == 0 {
            break;
        }
    }
    digits.get(20 - used..).unwrap_or_default()
}

fn number(text: &[u8]) -> Option<u64> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(text).ok()?.parse().ok()
}
