//! How a process that is not our child ended: from its pidfd once it is reaped, from /proc while it is a zombie.

use core::fmt::{self, Write as _};
use core::mem::MaybeUninit;

use rustix::event::Timespec;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::BorrowedFd;
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::process::Pid;

use crate::buffer::Buffer;
use crate::sys::read_small;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By `exit`, with that code.
    Exited(i32),
    /// By a signal.
    Signaled {
        /// The signal's number.
        signal: i32,
        /// The kernel wrote a core dump, or handed it to a program that takes them.
        core_dumped: bool,
    },
    /// The kernel does not tell.
    Unknown,
}

impl Ended {
    /// Reads a status as `waitpid` returns it.
    pub fn from_wait_status(status: i32) -> Self {
        match status & 0x7f {
            0 => Self::Exited((status >> 8) & 0xff),
            signal => Self::Signaled { signal, core_dumped: status & 0x80 != 0 },
        }
    }
}

/// As the closing line says it: `killed by SIGKILL`, `aborted (SIGABRT)`, `crashed (SIGSEGV)`, `exit code 3`.
impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Exited(code) => write!(formatter, "exit code {code}"),
            Self::Signaled { signal, core_dumped } => {
                let name = SignalName(signal);
                match signal {
                    libc::SIGABRT => write!(formatter, "aborted ({name})"),
                    libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP | libc::SIGSYS => {
                        write!(formatter, "crashed ({name})")
                    }
                    _ => write!(formatter, "killed by {name}"),
                }?;
                formatter.write_str(if core_dumped { ", core dumped" } else { "" })
            }
            Self::Unknown => formatter.write_str("killed or aborted"),
        }
    }
}

/// A signal's name; of one without a name, its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignalName(pub i32);

impl fmt::Display for SignalName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By the platform's own constants: the numbers differ by architecture.
        let name = match self.0 {
            libc::SIGHUP => "SIGHUP",
            libc::SIGINT => "SIGINT",
            libc::SIGQUIT => "SIGQUIT",
            libc::SIGILL => "SIGILL",
            libc::SIGTRAP => "SIGTRAP",
            libc::SIGABRT => "SIGABRT",
            libc::SIGBUS => "SIGBUS",
            libc::SIGFPE => "SIGFPE",
            libc::SIGKILL => "SIGKILL",
            libc::SIGUSR1 => "SIGUSR1",
            libc::SIGSEGV => "SIGSEGV",
            libc::SIGUSR2 => "SIGUSR2",
            libc::SIGPIPE => "SIGPIPE",
            libc::SIGALRM => "SIGALRM",
            libc::SIGTERM => "SIGTERM",
            libc::SIGXCPU => "SIGXCPU",
            libc::SIGXFSZ => "SIGXFSZ",
            libc::SIGVTALRM => "SIGVTALRM",
            libc::SIGPROF => "SIGPROF",
            libc::SIGIO => "SIGIO",
            libc::SIGSYS => "SIGSYS",
            #[cfg(target_os = "linux")]
            libc::SIGPWR => "SIGPWR",
            number => return write!(formatter, "signal {number}"),
        };
        formatter.write_str(name)
    }
}

/// How long a zombie that may not be looked at is waited for: its parent may reap it any moment, and the pidfd tells
/// then. No longer, for one whose parent never asks stays a zombie for good.
const REAPED_WITHIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// How the process behind `pidfd` ended, once poll(2) has said that it did. `pid` is its number as /proc shows it.
/// Takes up to 100 ms where it is a zombie that we may not look at.
pub(crate) fn of(pidfd: BorrowedFd<'_>, pid: Pid) -> Ended {
    let ended = look(pidfd, pid);
    if ended != Ended::Exited(0) {
        return ended;
    }
    // A killed run must not pass for one that went well, and once in some 20,000 kills (Linux 6.18) one has, for a reason that
    // was not found. So that is to be told twice, the second time of a process that was reaped, if it is.
    wait_until_reaped(pidfd);
    match look(pidfd, pid) {
        Ended::Unknown => ended,
        again => again,
    }
}

fn look(pidfd: BorrowedFd<'_>, pid: Pid) -> Ended {
    match ask(pidfd) {
        Ok(Some(ended)) => return ended,
        Ok(None) => {}
        // No such question here: before Linux 6.13, or forbidden by a sandbox.
        Err(_) => return of_zombie(pidfd, pid).unwrap_or(Ended::Unknown),
    }
    if let Some(ended) = of_zombie(pidfd, pid) {
        return ended;
    }
    wait_until_reaped(pidfd);
    ask(pidfd).ok().flatten().unwrap_or(Ended::Unknown)
}

/// Hang-up alone, which poll(2) always tells, says that it was reaped (since Linux 6.12).
fn wait_until_reaped(pidfd: BorrowedFd<'_>) {
    let _ = poll(&mut [PollFd::new(&pidfd, PollFlags::empty())], Some(&REAPED_WITHIN));
}

/// `struct pidfd_info` of linux/pidfd.h in its first published size, 64 bytes, which every later kernel takes.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    control_group: u64,
    /// pid, tgid, ppid, and the real, effective, saved and file system ids.
    ids: [u32; 11],
    exit_code: i32,
}

/// Only told of a process that has been reaped, and only if asked for (Linux 6.15).
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// Asks the pidfd. `None`: the process has not been reaped yet, or the kernel does not know how it ended.
fn ask(pidfd: BorrowedFd<'_>) -> Result<Option<Ended>, Errno> {
    let mut info = PidfdInfo { mask: PIDFD_INFO_EXIT, ..PidfdInfo::default() };
    get_info(pidfd, &mut info)?;
    Ok((info.mask & PIDFD_INFO_EXIT != 0).then(|| Ended::from_wait_status(info.exit_code)))
}

#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn get_info(pidfd: BorrowedFd<'_>, info: &mut PidfdInfo) -> Result<(), Errno> {
    use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
    const PIDFD_GET_INFO: Opcode = opcode::read_write::<PidfdInfo>(0xff, 11);
    // SAFETY: the kernel writes at most as many bytes as the opcode says, the size of `PidfdInfo`; any bytes are valid.
    let result = unsafe { ioctl(pidfd, Updater::<PIDFD_GET_INFO, PidfdInfo>::new(info)) };
    match result {
        // Reaped, by a kernel that does not remember (before Linux 6.15).
        Err(Errno::SRCH) => Ok(()),
        result => result,
    }
}

#[cfg(not(target_os = "linux"))]
fn get_info(_: BorrowedFd<'_>, _: &mut PidfdInfo) -> Result<(), Errno> {
    Err(Errno::NOTTY)
}

/// From /proc/PID/stat, where the process is ending or a zombie still and we may know.
fn of_zombie(pidfd: BorrowedFd<'_>, pid: Pid) -> Option<Ended> {
    let (status, may_be_hidden) = zombie_status(pid)?;
    if may_be_hidden {
        return None;
    }
    // It is there still, so the number was its own all the while.
    is_there(pidfd).then(|| Ended::from_wait_status(status))
}

/// The status that /proc shows, and whether it may have been hidden from us.
fn zombie_status(pid: Pid) -> Option<(i32, bool)> {
    let mut room = [0; 64];
    let mut path = Buffer::new(&mut room);
    write!(path, "/proc/{}/stat\0", pid.as_raw_nonzero()).ok()?;
    let path = core::ffi::CStr::from_bytes_until_nul(&path).ok()?;
    let mut stat = [0; 2048];
    let length = read_small(path, &mut stat)?;
    let status = status_in_stat(stat.get(..length)?)?;
    Some((status, status == 0 && !may_look_at(pid)))
}

/// Field 52, `exit_code`, of a process that is ending or a zombie: it is there before the files are closed. Counted from the
/// last `)`, for the program's name before it may hold anything.
fn status_in_stat(stat: &[u8]) -> Option<i32> {
    /// `PF_EXITING` of Linux's `sched.h`.
    const EXITING: u64 = 4;
    let name_end = memchr::memrchr(b')', stat)?;
    let rest = core::str::from_utf8(stat.get(name_end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    // Fields 3, `state`, 9, `flags`, and 52; there are no more.
    let (state, flags) = (fields.next()?, fields.nth(9 - 4)?.parse::<u64>().ok()?);
    let status = fields.nth(52 - 10)?.parse().ok()?;
    (matches!(state, "Z" | "X") || flags & EXITING != 0).then_some(status)
}

/// Whether /proc hides the exit status of that process from us (it shows 0 then). The link to its program is guarded by
/// the same check, and a zombie has none: `ENOENT` says that we may look, `EACCES` that we may not.
fn may_look_at(pid: Pid) -> bool {
    let mut room = [0; 64];
    let mut path = Buffer::new(&mut room);
    if write!(path, "/proc/{}/exe\0", pid.as_raw_nonzero()).is_err() {
        return false;
    }
    let Ok(path) = core::ffi::CStr::from_bytes_until_nul(&path) else { return false };
    let mut target = [MaybeUninit::uninit(); 16];
    match rustix::fs::readlinkat_raw(CWD, path, &mut target[..]) {
        Ok(_) | Err(Errno::NOENT) => true,
        Err(_) => false,
    }
}

/// Whether the process is there, a zombie at least.
fn is_there(pidfd: BorrowedFd<'_>) -> bool {
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code)]
    {
        // Signal 0 asks, and is no `Signal` to rustix.
        // SAFETY: no pointer is passed.
        let result = unsafe {
            libc::syscall(libc::SYS_pidfd_send_signal, rustix::fd::AsRawFd::as_raw_fd(&pidfd), 0, 0_usize, 0)
        };
        result == 0
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = pidfd;
        false
    }
}

/// How often the kernel has killed something in our control group, or below it, for want of memory. `None` where there
/// is no group that counts: none at all, or the machine's root group. The collector is in the group of the run.
pub(crate) fn out_of_memory_kills() -> Option<u64> {
    let mut groups = [0; 4096];
    let length = read_small(c"/proc/self/cgroup", &mut groups)?;
    let groups = groups.get(..length)?;
    groups.split(|&byte| byte == b'\n').find_map(|line| {
        let mut parts = line.splitn(3, |&byte| byte == b':');
        let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        // Version 2 is the one without controllers; where version 1 has the memory, both are there and only one counts.
        let (base, file) = if (number, controllers) == (b"0", b"") {
            ("/sys/fs/cgroup", "memory.events")
        } else if controllers.split(|&byte| byte == b',').any(|name| name == b"memory") {
            ("/sys/fs/cgroup/memory", "memory.oom_control")
        } else {
            return None;
        };
        // In a container the path may be the host's, while what is mounted begins at the container's own group.
        [path, b""].into_iter().find_map(|path| kills_counted_in(base, path, file))
    })
}

fn kills_counted_in(base: &str, path: &[u8], file: &str) -> Option<u64> {
    let mut room = [0; 4096];
    let mut name = Buffer::new(&mut room);
    for part in [base.as_bytes(), path, b"/", file.as_bytes(), b"\0"] {
        if name.extend(part) != part.len() {
            return None;
        }
    }
    let name = core::ffi::CStr::from_bytes_until_nul(&name).ok()?;
    let mut events = [0; 1024];
    let length = read_small(name, &mut events)?;
    kills_in_events(events.get(..length)?)
}

/// The line `oom_kill N`, which both versions of control groups have.
fn kills_in_events(events: &[u8]) -> Option<u64> {
    events.split(|&byte| byte == b'\n').find_map(|line| {
        let count = line.strip_prefix(b"oom_kill ")?;
        core::str::from_utf8(count).ok()?.trim_ascii_end().parse().ok()
    })
}

#[cfg(test)]
mod tests;
