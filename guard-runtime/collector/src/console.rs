//! The console: the descriptors that were standard output and standard error before the run.
//!
//! It may stall (a reader that does not read, a terminal under Ctrl-S), and must not stall the log: what it does not take
//! waits in memory. `O_NONBLOCK` is not ours to set, for it belongs to everyone who shares the description; so pipes and
//! terminals are opened anew, for a description that is ours alone. One that belongs to another user (cron's pipe) cannot be:
//! then a pipe is fed by splice(2), which has a flag of its own for that, and a terminal, like a socket, by small writes
//! that follow a poll each.

use core::mem;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use rustix::pipe::PIPE_BUF;

use crate::buffer::Buffer;
use crate::log_file::file_type;
use crate::stamp::monotonic;
use crate::sys::{self, opened_anew};

/// More than so many bytes waiting for a console that has stalled, and the run is slowed down until it takes some.
const SLOW_DOWN: usize = 2 * 1024 * 1024;
/// The same for a console that takes bytes, only not as fast as they come: the more wait here, the later each is seen.
const SLOW_DOWN_MOVING: usize = 64 * 1024;
/// A console that has taken nothing for so many microseconds has stalled.
const STALLS_AFTER: u64 = 100_000;
/// Room for that and for what the pipes of a dead run still hold, whose log is not to wait. Touched only when needed.
pub(crate) const CAPACITY: usize = 8 * 1024 * 1024;

/// One of the two.
pub(crate) struct Console {
    descriptor: Option<OwnedFd>,
    mode: WriteMode,
    /// Bytes for the next write; those before `taken` have been written.
    waiting: Buffer<'static>,
    taken: usize,
    /// When it last took some of what waited, in microseconds.
    moved: u64,
    /// How much of what waits was printed before the run's end, which waits for that.
    owed: usize,
}

/// How it is written to without being stalled by it.
enum WriteMode {
    /// Files and devices such as /dev/null do not stall, and what was opened anew says when it would.
    Direct,
    Spliced(PrivatePipe),
    /// After a poll, no more than fits for sure.
    Polled,
}

impl Console {
    /// `room` has [`CAPACITY`] bytes.
    ///
    /// # Errors
    /// As pipe(2).
    pub(crate) fn new(descriptor: Option<OwnedFd>, room: &'static mut [u8]) -> Result<Self, Errno> {
        let kind = descriptor.as_ref().and_then(|descriptor| rustix::fs::fstat(descriptor).ok());
        let kind = kind.map(|stat| file_type(&stat));
        let is_pipe = kind == Some(FileType::Fifo);
        let is_terminal = descriptor.as_ref().is_some_and(rustix::termios::isatty);
        // Without blocking: poll(2) tells that a terminal has room, but not for how many bytes, and a write of more sleeps
        // until all of it fits.
        let own = descriptor
            .as_ref()
            .filter(|_| is_pipe || is_terminal)
            .and_then(|place| opened_anew(place, OFlags::WRONLY | OFlags::NONBLOCK));
        let mode = match kind {
            _ if own.is_some() => WriteMode::Direct,
            _ if is_pipe && sys::HAS_SPLICE => WriteMode::Spliced(PrivatePipe::new()?),
            _ if is_pipe || is_terminal || kind == Some(FileType::Socket) => WriteMode::Polled,
            _ => WriteMode::Direct,
        };
        let (descriptor, waiting) = (own.or(descriptor), Buffer::new(room));
        Ok(Self { descriptor, mode, waiting, taken: 0, moved: 0, owed: 0 })
    }

    pub(crate) fn descriptor(&self) -> Option<&OwnedFd> {
        self.descriptor.as_ref()
    }

    pub(crate) fn descriptors(&self) -> [Option<&OwnedFd>; 3] {
        match &self.mode {
            WriteMode::Spliced(pipe) => [self.descriptor.as_ref(), Some(&pipe.reader), Some(&pipe.writer)],
            _ => [self.descriptor.as_ref(), None, None],
        }
    }

    /// To be polled for room, where something waits for it.
    pub(crate) fn stalled(&self) -> Option<&OwnedFd> {
        self.descriptor.as_ref().filter(|_| self.behind() > 0)
    }

    /// In a standby that takes over: what waited is the dead collector's, and lost with it; but the pipe between may still
    /// hold some of it, which goes first.
    pub(crate) fn forget_the_unwritten(&mut self) {
        self.waiting.clear();
        self.taken = 0;
        self.owed = 0;
        if let WriteMode::Spliced(pipe) = &mut self.mode {
            pipe.inside = rustix::io::ioctl_fionread(&pipe.reader).unwrap_or(0) as usize;
        }
    }

    /// So much waits that the run should print no more for now.
    pub(crate) fn is_backed_up(&self) -> bool {
        let moves = || monotonic() < self.moved + STALLS_AFTER;
        let waits = self.waiting.len() - self.taken;
        self.descriptor.is_some() && (waits > SLOW_DOWN || waits > SLOW_DOWN_MOVING && moves())
    }

    /// The run has ended: it waits for what it printed, not for what others print from now on.
    pub(crate) fn owe_what_waits(&mut self) {
        self.owed = self.behind();
    }

    pub(crate) fn owes_the_run(&self) -> bool {
        self.descriptor.is_some() && self.owed > 0
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.descriptor.is_some() && self.behind() == 0
    }

    /// Nothing more will come: a reader behind it is to see the end.
    pub(crate) fn close(&mut self) {
        self.descriptor = None;
        self.mode = WriteMode::Direct;
    }

    /// Bytes that the console is yet to take.
    fn behind(&self) -> usize {
        let inside = match &self.mode {
            WriteMode::Spliced(pipe) => pipe.inside,
            _ => 0,
        };
        self.waiting.len() - self.taken + inside
    }

    /// Gathers bytes for the next flush.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        if self.descriptor.is_none() {
            return Ok(());
        }
        let mut rest = bytes;
        if rest.len() > self.waiting.space() {
            self.waiting.discard_front(self.taken);
            self.taken = 0;
        }
        loop {
            let fitting = self.waiting.extend(rest);
            rest = rest.get(fitting..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            // Nothing is dropped: past all bounds we wait for the console after all.
            self.wait_for_room();
            self.flush()?;
            if self.descriptor.is_none() {
                return Ok(());
            }
            self.waiting.discard_front(self.taken);
            self.taken = 0;
        }
    }

    /// Writes what was gathered before, then `bytes`, without copying them where the console takes them.
    pub(crate) fn flush_with(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.flush()?;
        let written = if self.stalled().is_none() { self.write(bytes)? } else { 0 };
        self.push(bytes.get(written..).unwrap_or_default())
    }

    /// Writes of what was gathered as much as the console takes now. An error ends the console's copy for good (a reader
    /// that went away does not come back) and is reported once.
    pub(crate) fn flush(&mut self) -> Result<(), Errno> {
        let before = self.behind();
        let waiting = mem::take(&mut self.waiting);
        let result = self.write(waiting.get(self.taken..).unwrap_or_default());
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
        let result = match &mut self.mode {
            WriteMode::Direct => write_directly(descriptor, bytes),
            WriteMode::Spliced(pipe) => pipe.splice(descriptor, bytes),
            WriteMode::Polled => write_polled(descriptor, bytes),
        };
        if result.is_err() {
            self.descriptor = None;
        }
        result
    }
}

fn write_directly(descriptor: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match rustix::io::write(descriptor, rest) {
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
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        let mut polled = [PollFd::new(descriptor, PollFlags::OUT)];
        if poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0) {
            break;
        }
        let count = write_directly(descriptor, rest.get(..POLLED_WRITE).unwrap_or(rest))?;
        written += count;
        if count == 0 {
            break;
        }
    }
    Ok(written)
}

/// A pipe of our own before the console's: splice(2) moves pages from a pipe only.
struct PrivatePipe {
    reader: OwnedFd,
    writer: OwnedFd,
    /// What it takes when it is empty: less than usual for a user whose pipes have reached their limit (pipe(7)).
    room: usize,
    /// What it holds.
    inside: usize,
}

impl PrivatePipe {
    fn new() -> Result<Self, Errno> {
        let (reader, writer) = sys::pipe()?;
        let room = sys::pipe_capacity(&writer);
        Ok(Self { reader, writer, room, inside: 0 })
    }

    /// How many bytes were taken. Those that are still inside count: nothing but the console takes them out.
    fn splice(&mut self, console: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
        let mut written = 0;
        loop {
            if self.inside == 0 {
                let rest = bytes.get(written..).unwrap_or_default();
                if rest.is_empty() {
                    return Ok(written);
                }
                // It is empty, so this does not block.
                self.inside = write_directly(&self.writer, rest.get(..self.room).unwrap_or(rest))?;
                written += self.inside;
            }
            match sys::splice(&self.reader, console, self.inside) {
                Ok(count) => self.inside -= count.min(self.inside),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(written),
                // No splice here (a sandbox, a pipe opened for appending): by hand, at the risk of a stall.
                Err(Errno::INVAL | Errno::NOSYS | Errno::PERM) => self.copy_some(console)?,
                Err(error) => return Err(error),
            }
        }
    }

    fn copy_some(&mut self, console: &OwnedFd) -> Result<(), Errno> {
        let mut buffer = [0; PIPE_BUF];
        let count = rustix::io::read(&self.reader, &mut buffer)?;
        let mut rest = buffer.get(..count).unwrap_or_default();
        while !rest.is_empty() {
            let written = write_directly(console, rest)?;
            rest = rest.get(written..).unwrap_or_default();
            if !rest.is_empty() {
                let _ = poll(&mut [PollFd::new(console, PollFlags::OUT)], None);
            }
        }
        self.inside -= count.min(self.inside);
        Ok(())
    }
}
