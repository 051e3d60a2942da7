//! What /proc tells of the run, for as long as it lives: its terminal, and whether it is dying.

use core::str;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, getpid};

/// The run's line in /proc (`proc_pid_stat(5)`), opened by the run: its number may be another process's later.
pub struct RunStat(OwnedFd);

/// The fields of the line, of which it has 52.
type Fields<'a> = core::str::SplitAsciiWhitespace<'a>;

impl RunStat {
    /// Of the calling process. `None` without a /proc of this process's own namespace.
    pub fn open() -> Option<Self> {
        let stat = open(c"/proc/self/stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
        let mut line = [0; LINE];
        let length = rustix::io::pread(&stat, &mut line, 0).ok()?;
        let pid = str::from_utf8(line.get(..length)?.split(|byte| *byte == b' ').next()?).ok()?;
        (pid.parse() == Ok(getpid().as_raw_nonzero().get())).then_some(Self(stat))
    }

    pub(crate) fn descriptor(&self) -> &OwnedFd {
        &self.0
    }

    /// The group in the foreground of the terminal that controls the run.
    pub(crate) fn foreground(&self) -> Option<Pid> {
        let mut line = [0; LINE];
        // It is -1 without a terminal, which would be everybody.
        let group = self.fields(&mut line)?.nth(8 - 3)?.parse().ok().filter(|number| *number > 0)?;
        Pid::from_raw(group)
    }

    /// A program in the background may not change the terminal that controls it (`SIGTTOU`), nor read from it.
    pub(crate) fn is_in_foreground(&self) -> bool {
        let mut line = [0; LINE];
        let Some(mut fields) = self.fields(&mut line) else { return false };
        let (group, terminal, foreground) = (fields.nth(5 - 3), fields.nth(7 - 6), fields.next());
        terminal == Some("0") || group.is_some() && group == foreground
    }

    /// Its first thread has begun to end: seen before any other sign of its death.
    pub(crate) fn is_dying(&self) -> bool {
        /// `PF_EXITING` of Linux's `sched.h`.
        const EXITING: u64 = 4;
        let mut line = [0; LINE];
        // No line: it is dead.
        let Some(mut fields) = self.fields(&mut line) else { return true };
        fields.nth(9 - 3).and_then(|flags| flags.parse::<u64>().ok()).is_some_and(|flags| flags & EXITING != 0)
    }

    /// From the third on, which follows the program's name: that may contain anything, spaces and parentheses too.
    fn fields<'a>(&self, line: &'a mut [u8; LINE]) -> Option<Fields<'a>> {
        let length = rustix::io::pread(&self.0, &mut line[..], 0).ok()?;
        let line = line.get(..length)?;
        let name_end = memchr::memrchr(b')', line)?;
        Some(str::from_utf8(line.get(name_end + 1..)?).ok()?.split_ascii_whitespace())
    }
}

/// More than the fields that are asked for take up.
const LINE: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process() {
        let stat = RunStat::open().unwrap();
        assert!(!stat.is_dying());
        // SAFETY: they only tell.
        #[allow(unsafe_code)]
        let foreground = unsafe { libc::tcgetpgrp(0) };
        let group = stat.foreground().map_or(-1, |group| group.as_raw_nonzero().get());
        assert!(foreground == -1 || foreground == group);
        let is_own = rustix::process::getpgrp().as_raw_nonzero().get() == group;
        assert_eq!(stat.is_in_foreground(), is_own || group == -1);
    }

    #[test]
    fn a_process_that_has_ended() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let path = format!("/proc/{}/stat", child.id());
        let stat = RunStat(std::fs::File::open(path).unwrap().into());
        while !stat.is_dying() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(stat.is_dying() && stat.foreground().is_none());
    }
}
