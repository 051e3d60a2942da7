//! The command that is run once the verdict stands (`on_end`): started, read, reaped, and ended with all its children
//! when its time is over.

use core::ffi::{CStr, c_char};
use core::fmt::{self, Write as _};
use core::ptr;

use rustix::fd::{AsRawFd, OwnedFd, RawFd};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions};

use crate::buffer::Buffer;
use crate::exit_status::Ended;
use crate::moment::{Moment, Seconds};
use crate::sys;

/// Microseconds that a hook has; then it is killed.
pub const TIMEOUT: u64 = 30_000_000;

/// `GUARD_DETAIL` is cut to so many bytes.
const LONGEST_DETAIL: usize = 4096;

/// What the hook is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Verdict<'a> {
    /// A state's word, or `stuck`.
    pub state: &'a str,
    /// What is known of the reason; empty where nothing is.
    pub detail: &'a [u8],
    /// As `RunState::hook_code` says.
    pub exit_code: i32,
    /// The signal that ended the run.
    pub signal: Option<i32>,
    /// When the run started.
    pub started: Moment,
    /// How long it took.
    pub elapsed: Option<Seconds>,
    /// Its process.
    pub pid: i32,
    /// The lock file.
    pub lock: &'a [u8],
    /// The log file.
    pub log: &'a [u8],
    /// When the last run that succeeded ended.
    pub last_success: Option<Moment>,
}

/// Room for the variables of any verdict: two paths of the greatest length, the detail, and the rest.
pub(crate) const VERDICT_ROOM: usize = 3 * 4096 + 1024;

/// How many variables there are.
const VERDICT_VARIABLES: usize = 10;

impl Verdict<'_> {
    /// Writes the variables, each with a NUL behind it. What is not known is empty.
    ///
    /// # Errors
    /// Where `out` is full; it never is with [`VERDICT_ROOM`] bytes.
    pub(crate) fn write(&self, out: &mut Buffer<'_>) -> fmt::Result {
        write!(out, "GUARD_STATE={}\0GUARD_DETAIL=", self.state)?;
        for &byte in cut(self.detail) {
            out.extend(&[if byte == 0 { b'?' } else { byte }]);
        }
        write!(out, "\0GUARD_EXIT_CODE={}\0GUARD_SIGNAL=", self.exit_code)?;
        if let Some(signal) = self.signal {
            write!(out, "{signal}")?;
        }
        write!(out, "\0GUARD_STARTED={}\0GUARD_SECONDS=", self.started)?;
        if let Some(elapsed) = self.elapsed {
            write!(out, "{elapsed}")?;
        }
        write!(out, "\0GUARD_PID={}\0GUARD_LOCK=", self.pid)?;
        out.extend(self.lock);
        out.write_str("\0GUARD_LOG=")?;
        out.extend(self.log);
        out.write_str("\0GUARD_LAST_SUCCESS=")?;
        if let Some(moment) = self.last_success {
            write!(out, "{moment}")?;
        }
        out.write_str("\0")
    }
}

/// The front of a long text; a letter is not torn.
fn cut(text: &[u8]) -> &[u8] {
    let is_inside_letter = |end: &usize| text.get(*end).is_some_and(|byte| byte & 0xc0 == 0x80);
    let end = (0..=LONGEST_DETAIL).rev().take(4).find(|end| !is_inside_letter(end)).unwrap_or(LONGEST_DETAIL);
    text.get(..end).unwrap_or(text)
}

/// A command, and what it is given of the run's surroundings.
#[derive(Clone, Copy, Debug)]
pub struct Hook<'a> {
    /// For `/bin/sh -c`.
    pub command: &'a CStr,
    /// Where the run was started; where that is no more, the root directory.
    pub directory: &'a CStr,
    /// The run's environment: `NAME=value` and a NUL each.
    pub environment: &'a [u8],
}

impl Hook<'_> {
    /// Pointers that `Running::start` needs.
    pub fn pointers(&self) -> usize {
        memchr::memchr_iter(0, self.environment).count() + VERDICT_VARIABLES + 1
    }
}

/// A hook that was started. Its children that lose their parent become ours.
#[derive(Debug)]
pub(crate) struct Running {
    shell: Pid,
    /// Tells of the shell's end, where the kernel can.
    pidfd: Option<OwnedFd>,
    /// What it and its children print; `None` once nobody can print any more.
    output: Option<OwnedFd>,
    ended: Option<Ended>,
}

impl Running {
    /// Starts the hook. `verdict` is what [`Verdict::write`] wrote, `pointers` has room for [`Hook::pointers`].
    ///
    /// To be called by a process whose other children, if any, are nobody else's to reap.
    ///
    /// # Errors
    /// As open(2) of /dev/null, pipe(2) and fork(2); `E2BIG` where `pointers` is too short. A shell that cannot be run
    /// is no error: that ends with code 127.
    pub(crate) fn start(hook: &Hook<'_>, verdict: &[u8], pointers: &mut [*const c_char]) -> Result<Self, Errno> {
        let environment = point_at(pointers, [hook.environment, verdict])?;
        let null = above_standard(open(c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?)?;
        let (reader, writer) = sys::pipe()?;
        let (reader, writer) = (above_standard(reader)?, above_standard(writer)?);
        // No ioctl(2): a sandbox may forbid that.
        rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK)?;
        #[cfg(target_os = "linux")]
        let _ = rustix::process::set_child_subreaper(Some(rustix::process::getpid()));
        // A caller that ignored it would have its children reaped by the kernel, and their statuses lost.
        system::set_disposition(libc::SIGCHLD, Disposition::Default);
        let Some(shell) = system::fork()? else {
            become_shell(hook, environment, null.as_raw_fd(), writer.as_raw_fd())
        };
        #[cfg(target_os = "linux")]
        let pidfd = rustix::process::pidfd_open(shell, rustix::process::PidfdFlags::empty());
        #[cfg(target_os = "linux")]
        let pidfd = pidfd.and_then(above_standard).ok();
        #[cfg(not(target_os = "linux"))]
        let pidfd = None;
        Ok(Self { shell, pidfd, output: Some(reader), ended: None })
    }

    /// To be polled for input: what it prints, and its end. Where the latter is missing, [`reap`](Self::reap) tells.
    pub(crate) fn descriptors(&self) -> [Option<&OwnedFd>; 2] {
        [self.output.as_ref(), self.pidfd.as_ref()]
    }

    /// Reads into `room` what it has printed; how many bytes, 0 where there is nothing now.
    pub(crate) fn read(&mut self, room: &mut [u8]) -> usize {
        let Some(output) = &self.output else { return 0 };
        loop {
            match rustix::io::read(output, &mut *room) {
                Ok(count) if count > 0 => return count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return 0,
                _ => {
                    self.output = None;
                    return 0;
                }
            }
        }
    }

    /// How the shell ended, as far as [`reap`](Self::reap) or [`kill`](Self::kill) has seen it.
    pub(crate) fn ended(&self) -> Option<Ended> {
        self.ended
    }

    /// How the shell ended, once it has. What it left in the background may go on printing.
    pub(crate) fn reap(&mut self) -> Option<Ended> {
        if self.ended.is_none() {
            self.reap_one(Some(self.shell));
            if self.ended.is_some() {
                self.pidfd = None;
            }
        }
        self.ended
    }

    /// Nothing of it is left that could be waited for.
    pub(crate) fn is_over(&self) -> bool {
        self.ended.is_some() && self.output.is_none()
    }

    /// Ends it and every process that descends from it, whatever session or group that has moved to, and says how the
    /// shell ended. What it has printed can still be read. Takes up to 2 s where something cannot die.
    pub(crate) fn kill(&mut self) -> Ended {
        for _ in 0..2_000 {
            // Once the shell is reaped its number may be another group's. (Elsewhere there is no other way to its children.)
            if self.ended.is_none() || cfg!(not(target_os = "linux")) {
                let _ = rustix::process::kill_process_group(self.shell, Signal::KILL);
            }
            // Who loses its parent becomes our child, so that in the end all of them are.
            #[cfg(target_os = "linux")]
            system::for_each_child(|child| {
                // Nobody but us reaps it: the number is its own.
                let _ = rustix::process::kill_process(child, Signal::KILL);
            });
            while self.reap_one(None) {}
            if Self::has_no_child_left() {
                break;
            }
            let millisecond = rustix::event::Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
            let _ = rustix::event::poll(&mut [], Some(&millisecond));
        }
        self.pidfd = None;
        *self.ended.get_or_insert(Ended::Unknown)
    }

    fn has_no_child_left() -> bool {
        let flags = WaitOptions::NOHANG | system::ANY_CHILD;
        matches!(rustix::process::wait(flags), Err(Errno::CHILD))
    }

    /// Reaps that child, or any; says whether one was.
    fn reap_one(&mut self, child: Option<Pid>) -> bool {
        let flags = WaitOptions::NOHANG | system::ANY_CHILD;
        let result = match child {
            Some(child) => rustix::process::waitpid(Some(child), flags),
            None => rustix::process::wait(flags),
        };
        match result {
            Ok(Some((reaped, status))) => {
                if reaped == self.shell {
                    self.ended = Some(Ended::from_wait_status(status.as_raw()));
                }
                true
            }
            // Reaped by somebody else.
            Err(Errno::CHILD) if child == Some(self.shell) => {
                self.ended = Some(Ended::Unknown);
                false
            }
            _ => false,
        }
    }
}

/// An array as execve(2) wants it: a pointer to each string, and none behind the last.
fn point_at<'a>(pointers: &'a mut [*const c_char], strings: [&'a [u8]; 2]) -> Result<&'a [*const c_char], Errno> {
    let mut count = 0;
    for string in strings.into_iter().flat_map(|packed| packed.split_inclusive(|&byte| byte == 0)) {
        if string.last() == Some(&0) {
            *pointers.get_mut(count).ok_or(Errno::TOOBIG)? = string.as_ptr().cast();
            count += 1;
        }
    }
    *pointers.get_mut(count).ok_or(Errno::TOOBIG)? = ptr::null();
    pointers.get(..=count).ok_or(Errno::TOOBIG)
}

/// A helper has no standard descriptors: what it opens may get their numbers, which the shell needs for itself.
fn above_standard(descriptor: OwnedFd) -> Result<OwnedFd, Errno> {
    if descriptor.as_raw_fd() > 2 { Ok(descriptor) } else { rustix::io::fcntl_dupfd_cloexec(&descriptor, 3) }
}

/// In the child.
fn become_shell(hook: &Hook<'_>, environment: &[*const c_char], null: RawFd, output: RawFd) -> ! {
    let _ = rustix::process::setsid();
    for signal in 1..=64 {
        system::set_disposition(signal, Disposition::Default);
    }
    // Under systemd all that is left gets SIGTERM once the run has ended; it is to tell of it first.
    system::set_disposition(libc::SIGTERM, Disposition::Ignored);
    if rustix::process::chdir(hook.directory).is_err() {
        let _ = rustix::process::chdir(c"/");
    }
    for (from, to) in [(null, 0), (output, 1), (output, 2)] {
        system::duplicate(from, to);
    }
    system::close_from(3);
    // Not before: who has the run's streams open and takes signals passes for a process of the run, and is killed with those.
    system::unblock_signals();
    let arguments = [c"sh".as_ptr(), c"-c".as_ptr(), hook.command.as_ptr(), ptr::null()];
    let error = system::execute(c"/bin/sh", &arguments, environment);
    let mut room = [0; 64];
    let mut text = Buffer::new(&mut room);
    let _ = writeln!(text, "cannot run /bin/sh (os error {})", error.raw_os_error());
    system::write_error(&text);
    system::exit(127)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Disposition {
    Default,
    Ignored,
}

#[allow(unsafe_code)]
mod system;

#[cfg(test)]
mod tests;
