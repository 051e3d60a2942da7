//! The console: the descriptors that were standard output and standard error before the run.
//!
//! It may stall (a reader that does not read, a terminal under Ctrl-S), and must not stall the log: what it does not take
//! waits in memory. `O_NONBLOCK` is not ours to set, for it belongs to everyone who shares the description; so pipes and
//! terminals are opened anew, for a description that is ours alone. One that belongs to another user (cron's pipe) cannot be:
//! then a pipe is fed by splice(2), which has a flag of its own for that, and a terminal, like a socket, by small writes
//! that follow a poll each.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use rustix::pipe::PIPE_BUF;
use rustix::time::Timespec;

use super::descriptor::opened_anew;
use super::stamp::monotonic;

/// More than so many bytes waiting for a console that has stalled, and the run is slowed down until it takes some.
const SLOW_DOWN: usize = 2 * 1024 * 1024;
/// The same for a console that takes bytes, only not as fast as they come: the more wait here, the later each is seen.
const SLOW_DOWN_MOVING: usize = 64 * 1024;
/// A console that has taken nothing for so many microseconds has stalled.
const STALLS_AFTER: u64 = 100_000;
/// Room for that and for what the pipes of a dead run still hold, whose log is not to wait. Touched only when needed.
const ROOM: usize = 8 * 1024 * 1024;

/// One of the two.
pub(crate) struct Console {
    descriptor: Option<OwnedFd>,
    way: Way,
    /// Bytes for the next write; those before `taken` have been written.
    waiting: Vec<u8>,
    taken: usize,
    /// When it last took some of what waited, in microseconds.
    moved: u64,
    /// How much of what waits was printed before the run's end, which waits for that.
    owed: usize,
}

/// How it is written to without being stalled by it.
enum Way {
    /// Files and devices such as /dev/null do not stall, and what was opened anew says when it would.
    Direct,
    #[cfg(target_os = "linux")]
    Spliced(PrivatePipe),
    /// After a poll, no more than fits for sure.
    Polled,
}

impl Console {
    pub(super) fn new(descriptor: Option<OwnedFd>) -> std::io::Result<Self> {
        let kind = descriptor.as_ref().and_then(|descriptor| rustix::fs::fstat(descriptor).ok());
        let kind = kind.map(|stat| FileType::from_raw_mode(stat.st_mode));
        let is_pipe = kind == Some(FileType::Fifo);
        let is_terminal = descriptor.as_ref().is_some_and(rustix::termios::isatty);
        // Without blocking: poll(2) tells that a terminal has room, but not for how many bytes, and a write of more sleeps
        // until all of it fits.
        if (is_pipe || is_terminal)
            && let Some(place) = &descriptor
            && let Some(own) = opened_anew(place, OFlags::WRONLY | OFlags::NONBLOCK)
        {
            return Ok(Self::with(Some(own), Way::Direct));
        }
        let way = match kind {
            #[cfg(target_os = "linux")]
            _ if is_pipe => Way::Spliced(PrivatePipe::new()?),
            Some(FileType::Socket) => Way::Polled,
            _ if is_pipe || is_terminal => Way::Polled,
            _ => Way::Direct,
        };
        Ok(Self::with(descriptor, way))
    }

    fn with(descriptor: Option<OwnedFd>, way: Way) -> Self {
        Self { descriptor, way, waiting: Vec::with_capacity(ROOM), taken: 0, moved: 0, owed: 0 }
    }

    pub(super) fn descriptor(&self) -> Option<&OwnedFd> {
        self.descriptor.as_ref()
    }

    pub(super) fn descriptors(&self) -> [Option<&OwnedFd>; 3] {
        match &self.way {
            #[cfg(target_os = "linux")]
            Way::Spliced(pipe) => [self.descriptor.as_ref(), Some(&pipe.reader), Some(&pipe.writer)],
            _ => [self.descriptor.as_ref(), None, None],
        }
    }

    /// To be polled for room, where something waits for it.
    pub(super) fn stalled(&self) -> Option<&OwnedFd> {
        self.descriptor.as_ref().filter(|_| self.behind() > 0)
    }

    /// In a keeper that takes over: what waited is the dead collector's, and lost with it; but the pipe between may still
    /// hold some of it, which goes first.
    pub(super) fn forget_the_unwritten(&mut self) {
        self.waiting.clear();
        self.taken = 0;
        self.owed = 0;
        #[cfg(target_os = "linux")]
        if let Way::Spliced(pipe) = &mut self.way {
            pipe.inside = rustix::io::ioctl_fionread(&pipe.reader).unwrap_or(0) as usize;
        }
    }

    /// So much waits that the run should print no more for now.
    pub(super) fn is_backed_up(&self) -> bool {
        let moves = || monotonic() < self.moved + STALLS_AFTER;
        let waits = self.waiting.len() - self.taken;
        self.descriptor.is_some() && (waits > SLOW_DOWN || waits > SLOW_DOWN_MOVING && moves())
    }

    /// The run has ended: it waits for what it printed, not for what others print from now on.
    pub(super) fn owe_what_waits(&mut self) {
        self.owed = self.behind();
    }

    pub(super) fn owes_the_run(&self) -> bool {
        self.descriptor.is_some() && self.owed > 0
    }

    pub(super) fn is_idle(&self) -> bool {
        self.descriptor.is_some() && self.behind() == 0
    }

    /// Nothing more will come: a reader behind it is to see the end.
    pub(super) fn close(&mut self) {
        self.descriptor = None;
        self.way = Way::Direct;
    }

    /// Bytes that the console is yet to take.
    fn behind(&self) -> usize {
        let inside = match &self.way {
            #[cfg(target_os = "linux")]
            Way::Spliced(pipe) => pipe.inside,
            _ => 0,
        };
        self.waiting.len() - self.taken + inside
    }

    /// Gathers bytes for the next flush.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        if self.descriptor.is_none() {
            return Ok(());
        }
        let mut rest = bytes;
        while rest.len() > self.waiting.capacity() - self.waiting.len() {
            self.waiting.drain(..self.taken);
            self.taken = 0;
            let room = self.waiting.capacity() - self.waiting.len();
            let (fitting, behind) = rest.split_at(room.min(rest.len()));
            self.waiting.extend_from_slice(fitting);
            rest = behind;
            if !rest.is_empty() {
                // Nothing is dropped: past all bounds we wait for the console after all.
                self.wait_for_room();
                self.flush()?;
            }
        }
        self.waiting.extend_from_slice(rest);
        Ok(())
    }

    /// Writes what was gathered before, then `bytes`, without copying them where the console takes them.
    pub(super) fn flush_with(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.flush()?;
        let written = if self.stalled().is_none() { self.write(bytes)? } else { 0 };
        self.push(&bytes[written..])
    }

    /// Writes of what was gathered as much as the console takes now. An error ends the console's copy for good (a reader
    /// that went away does not come back) and is reported once.
    pub(super) fn flush(&mut self) -> Result<(), Errno> {
        let before = self.behind();
        let waiting = std::mem::take(&mut self.waiting);
        let result = self.write(&waiting[self.taken..]);
        self.waiting = waiting;
        self.taken += *result.as_ref().unwrap_or(&0);
        if self.taken == self.waiting.len() || result.is_err() {
            self.waiting.clear();
            self.taken = 0;
        }
        let taken = before - self.behind();
        if taken > 0 {
            self.moved = monotonic();
            self.owed = self.owed.saturating_sub(taken);
        }
        result.map(drop)
    }

    fn wait_for_room(&self) {
        if let Some(descriptor) = self.stalled() {
            let _ = poll(&mut [PollFd::new(descriptor, PollFlags::OUT)], None);
        }
    }

    /// How many bytes the console took.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let Some(descriptor) = &self.descriptor else { return Ok(bytes.len()) };
        let result = match &mut self.way {
            Way::Direct => write_directly(descriptor, bytes),
            #[cfg(target_os = "linux")]
            Way::Spliced(pipe) => pipe.splice(descriptor, bytes),
            Way::Polled => write_polled(descriptor, bytes),
        };
        if result.is_err() {
            self.descriptor = None;
        }
        result
    }
}

fn write_directly(descriptor: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    let mut written = 0;
    while written < bytes.len() {
        match rustix::io::write(descriptor, &bytes[written..]) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(count) => written += count,
            Err(Errno::INTR) => {}
            // Somebody else made the shared description non-blocking: the rest waits like any other.
            Err(Errno::AGAIN) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

/// So much at once where only a poll says that there is room.
const POLLED_WRITE: usize = 256;

fn write_polled(descriptor: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    let mut written = 0;
    while written < bytes.len() {
        let mut polled = [PollFd::new(descriptor, PollFlags::OUT)];
        if poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0) {
            break;
        }
        let end = bytes.len().min(written + POLLED_WRITE);
        let count = write_directly(descriptor, &bytes[written..end])?;
        written += count;
        if count == 0 {
            break;
        }
    }
    Ok(written)
}

/// A pipe of our own before the console's: splice(2) moves pages from a pipe only.
#[cfg(target_os = "linux")]
struct PrivatePipe {
    reader: OwnedFd,
    writer: OwnedFd,
    /// What it takes when it is empty: less than usual for a user whose pipes have reached their limit (pipe(7)).
    room: usize,
    /// What it holds.
    inside: usize,
}

#[cfg(target_os = "linux")]
impl PrivatePipe {
    fn new() -> std::io::Result<Self> {
        let (reader, writer) = super::pipe()?;
        let room = rustix::pipe::fcntl_getpipe_size(&writer).unwrap_or(PIPE_BUF);
        Ok(Self { reader, writer, room, inside: 0 })
    }

    /// How many bytes were taken. Those that are still inside count: nothing but the console takes them out.
    fn splice(&mut self, console: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
        use rustix::pipe::{SpliceFlags, splice};
        let mut written = 0;
        loop {
            if self.inside == 0 {
                if written == bytes.len() {
                    return Ok(written);
                }
                // It is empty, so this does not block.
                let end = bytes.len().min(written + self.room);
                self.inside = write_directly(&self.writer, &bytes[written..end])?;
                written += self.inside;
            }
            match splice(&self.reader, None, console, None, self.inside, SpliceFlags::NONBLOCK) {
                Ok(count) => self.inside -= count.min(self.inside),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(written),
                // No splice here (a sandbox, a pipe opened for appending): by hand, at the risk of a stall.
                Err(Errno::INVAL | Errno::NOSYS | Errno::PERM) => {
                    let mut buffer = [0; PIPE_BUF];
                    let count = rustix::io::read(&self.reader, &mut buffer)?;
                    let mut rest = &buffer[..count];
                    while !rest.is_empty() {
                        rest = &rest[write_directly(console, rest)?..];
                        if !rest.is_empty() {
                            let _ = poll(&mut [PollFd::new(console, PollFlags::OUT)], None);
                        }
                    }
                    self.inside -= count.min(self.inside);
                }
                Err(error) => return Err(error),
            }
        }
    }
}
