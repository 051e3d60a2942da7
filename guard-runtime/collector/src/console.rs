//! The console: the descriptors that were standard output and standard error before the run.
//!
//! It may stall (a reader that does not read, a terminal under Ctrl-S), and must stall neither the log nor the run: what it
//! does not take waits in memory, and beyond that in a file. The same file holds what is to be shown only if the run fails.
//! `O_NONBLOCK` is not ours to set, for it belongs to everyone who shares the description; so pipes and
//! terminals are opened anew, for a description that is ours alone. One that belongs to another user (cron's pipe) cannot be:
//! then a pipe is fed by splice(2), which has a flag of its own for that, a socket by send(2), which has one too, and a
//! terminal by small writes that follow a poll each.

mod write_mode;

use core::mem;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;

use write_mode::{PrivatePipe, WriteMode, is_stream_socket};

use crate::buffer::Buffer;
use crate::held_console::HeldConsole;
use crate::refusal::file_type;
use crate::stamp::{monotonic, timespec};
use crate::sys::{self, opened_anew};

/// More than so many bytes wait in a file, or where there can be none, slow the run down.
const IN_MEMORY: usize = 2 * 1024 * 1024;
/// A console that takes bytes, only not as fast as they come, slows the run down as it would without us: the more wait
/// here, the later each is seen.
const SLOW_DOWN_MOVING: usize = 64 * 1024;
/// The run's end is not put off longer for a console that takes nothing, in microseconds.
pub const WAITED_FOR: u64 = 10_000_000;
/// So much of a file is shown before the streams are looked at again.
const SHOWN_AT_ONCE: usize = 4 * 1024 * 1024;
/// In pieces of so many bytes.
const PIECE: usize = 64 * 1024;
/// A console that has taken nothing for so many microseconds has stalled.
const STALLS_AFTER: u64 = 100_000;
/// How long a console that moves is waited for where the file takes no more: it has to take that first. Microseconds.
const LONGEST_SHOW: u64 = 5_000_000;
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
    /// Since when.
    owed_since: u64,
    /// Bytes behind those that wait in memory.
    held: Option<HeldConsole>,
    /// How many.
    held_bytes: u64,
    /// Why the file takes no more.
    full: Option<Errno>,
    /// Until when the console is waited for because of that: once, not for each line.
    waits_until: u64,
    /// They wait for the verdict, not for the console.
    is_holding: bool,
    /// A file was made that the standby does not have.
    is_new_file: bool,
    /// Why there is no file, or no room in it.
    trouble: Option<Errno>,
    /// Bytes were left out for lack of room, and that was not told yet.
    shortage: Option<Errno>,
    is_short: bool,
}

impl Console {
    /// `room` has [`CAPACITY`] bytes. With a directory `hold_in`, nothing is shown before [`judge`](Self::judge), unless it
    /// is a terminal: there a person looks on.
    ///
    /// # Errors
    /// As pipe(2).
    pub(crate) fn new(
        descriptor: Option<OwnedFd>,
        room: &'static mut [u8],
        hold_in: Option<&OwnedFd>,
    ) -> Result<Self, Errno> {
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
            Some(FileType::Socket) if descriptor.as_ref().is_some_and(is_stream_socket) => WriteMode::Sent,
            _ if is_pipe || is_terminal || kind == Some(FileType::Socket) => WriteMode::Polled,
            _ => WriteMode::Direct,
        };
        let hold_in = hold_in.filter(|_| descriptor.is_some() && !is_terminal);
        let mut console = Self {
            descriptor: own.or(descriptor),
            mode,
            waiting: Buffer::new(room),
            taken: 0,
            moved: 0,
            owed: 0,
            owed_since: 0,
            held: None,
            held_bytes: 0,
            full: None,
            waits_until: 0,
            is_holding: false,
            is_new_file: false,
            trouble: None,
            shortage: None,
            is_short: false,
        };
        if let Some(directory) = hold_in {
            console.is_holding = console.make_file(directory);
        }
        Ok(console)
    }

    pub(crate) fn descriptor(&self) -> Option<&OwnedFd> {
        self.descriptor.as_ref()
    }

    pub(crate) fn descriptors(&self) -> [Option<&OwnedFd>; 4] {
        let (own, file) = (self.descriptor.as_ref(), self.held.as_ref().map(HeldConsole::descriptor));
        match &self.mode {
            WriteMode::Spliced(pipe) => [own, file, Some(&pipe.reader), Some(&pipe.writer)],
            _ => [own, file, None, None],
        }
    }

    /// To be polled for room, where something waits for it.
    pub(crate) fn stalled(&self) -> Option<&OwnedFd> {
        self.descriptor.as_ref().filter(|_| self.behind() > 0 && !self.is_holding)
    }

    /// In a standby that takes over: what waited is the dead collector's, and lost with it; but the pipe between may still
    /// hold some of it, which goes first.
    pub(crate) fn forget_the_unwritten(&mut self) {
        self.waiting.clear();
        self.taken = 0;
        self.owed = 0;
        self.held_bytes = self.held.as_ref().map_or(0, HeldConsole::waiting);
        if let WriteMode::Spliced(pipe) = &mut self.mode {
            pipe.inside = rustix::io::ioctl_fionread(&pipe.reader).unwrap_or(0) as usize;
        }
    }

    /// So much waits that the run should print no more for now.
    pub(crate) fn is_backed_up(&self) -> bool {
        let moves = || monotonic() < self.moved + STALLS_AFTER;
        let waits = self.waiting.len() - self.taken;
        let slows = waits > SLOW_DOWN_MOVING && self.held_bytes == 0 || self.full.is_some();
        self.descriptor.is_some() && (waits > IN_MEMORY || slows && moves())
    }

    /// The run has ended: it waits for what it printed, not for what others print from now on.
    pub(crate) fn owe_what_waits(&mut self) {
        self.owed = self.behind();
        self.owed_since = monotonic();
    }

    /// The run's end waits for it.
    pub(crate) fn owes_the_run(&self) -> bool {
        self.descriptor.is_some() && self.owed > 0 && !self.was_given_up()
    }

    /// It is behind, and has taken nothing for so long that the run's end does not wait for it.
    pub(crate) fn was_given_up(&self) -> bool {
        let moved = self.moved.max(self.owed_since);
        self.descriptor.is_some() && self.owed > 0 && monotonic() > moved + WAITED_FOR
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.descriptor.is_some() && self.behind() == 0
    }

    /// The verdict stands. What was held back for it is shown if the run has failed. Otherwise nothing is any more, of a
    /// child that lives on either.
    pub(crate) fn judge(&mut self, has_failed: bool) {
        if mem::take(&mut self.is_holding) && !has_failed {
            self.close();
        }
    }

    /// A file was made since this was last asked.
    pub(crate) fn take_new_file(&mut self) -> bool {
        mem::take(&mut self.is_new_file)
    }

    /// Why there is no file, or no room in it; once.
    pub(crate) fn take_trouble(&mut self) -> Option<Errno> {
        self.trouble.take()
    }

    /// Nothing more will come: a reader behind it is to see the end.
    pub(crate) fn close(&mut self) {
        self.descriptor = None;
        self.mode = WriteMode::Direct;
        let _ = self.held.take().map(HeldConsole::discard);
        (self.held_bytes, self.full) = (0, None);
        self.waiting.clear();
        self.taken = 0;
    }

    /// Bytes that the console is yet to take.
    fn behind(&self) -> usize {
        let inside = if let WriteMode::Spliced(pipe) = &self.mode { pipe.inside } else { 0 };
        self.waiting.len() - self.taken + inside + self.held_bytes as usize
    }

    /// Why bytes were left out for lack of room, once a run.
    pub(crate) fn take_shortage(&mut self) -> Option<Errno> {
        self.shortage.take()
    }

    /// Gathers bytes for the next flush. A file for those that memory does not hold is made in `directory`.
    pub(crate) fn push(&mut self, bytes: &[u8], directory: &OwnedFd) -> Result<(), Errno> {
        if self.descriptor.is_none() {
            return Ok(());
        }
        let goes_to_file =
            self.is_holding || self.held_bytes > 0 || self.waiting.len() - self.taken + bytes.len() > IN_MEMORY;
        let held = if goes_to_file { self.hold(bytes, directory) } else { 0 };
        let rest = bytes.get(held..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        // No room for it: what was held comes first.
        if self.show_all_held()? {
            return self.push_to_memory(rest);
        }
        // A console that stalls holds up neither log nor run.
        self.leave_out(self.full.unwrap_or(Errno::FBIG));
        Ok(())
    }

    /// Shows what is held while the console takes it, but not for long; says whether that was all.
    fn show_all_held(&mut self) -> Result<bool, Errno> {
        let has_room = |console: &OwnedFd| {
            poll(&mut [PollFd::new(console, PollFlags::OUT)], Some(&timespec(STALLS_AFTER))) == Ok(1)
        };
        while self.held_bytes > 0 && self.descriptor.is_some() {
            self.flush()?;
            if self.held_bytes > 0 && (monotonic() > self.waits_until || !self.stalled().is_none_or(has_room)) {
                self.waits_until = 0;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// That there is no room is told once.
    fn leave_out(&mut self, error: Errno) {
        if !mem::replace(&mut self.is_short, true) {
            self.shortage = Some(error);
        }
    }

    /// How many bytes from the front went into the file. If not all of them do, nothing is held back any more.
    fn hold(&mut self, bytes: &[u8], directory: &OwnedFd) -> usize {
        if self.held.is_none() && !self.make_file(directory) {
            self.is_holding = false;
            return 0;
        }
        let appended = self.held.as_mut().map_or(Ok(0), |held| held.append(bytes));
        let count = *appended.as_ref().unwrap_or(&0);
        self.held_bytes += count as u64;
        if count < bytes.len() {
            self.is_holding = false;
            self.trouble = Some(appended.err().unwrap_or(Errno::FBIG));
            if self.full.is_none() && self.held_bytes > 0 {
                (self.full, self.waits_until) = (self.trouble, monotonic() + LONGEST_SHOW);
            }
        }
        count
    }

    fn make_file(&mut self, directory: &OwnedFd) -> bool {
        match HeldConsole::create(directory.as_fd(), monotonic()) {
            Ok(held) => {
                (self.held, self.is_new_file) = (Some(held), true);
                true
            }
            Err(error) => {
                self.trouble = Some(error);
                false
            }
        }
    }

    fn push_to_memory(&mut self, bytes: &[u8]) -> Result<(), Errno> {
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
            let _ = self.stalled().map(|console| poll(&mut [PollFd::new(console, PollFlags::OUT)], None));
            self.flush()?;
            if self.descriptor.is_none() {
                return Ok(());
            }
            self.waiting.discard_front(self.taken);
            self.taken = 0;
        }
    }

    /// Writes what was gathered before, then `bytes`, without copying them where the console takes them.
    pub(crate) fn flush_with(&mut self, bytes: &[u8], directory: &OwnedFd) -> Result<(), Errno> {
        self.flush()?;
        let written = if self.behind() == 0 && !self.is_holding { self.write(bytes)? } else { 0 };
        self.push(bytes.get(written..).unwrap_or_default(), directory)
    }

    /// Writes of what was gathered as much as the console takes now. An error ends the console's copy for good (a reader
    /// that went away does not come back) and is reported once.
    pub(crate) fn flush(&mut self) -> Result<(), Errno> {
        if self.is_holding {
            return Ok(());
        }
        let before = self.behind();
        let waiting = mem::take(&mut self.waiting);
        let mut result = self.write(waiting.get(self.taken..).unwrap_or_default());
        self.waiting = waiting;
        self.taken += *result.as_ref().unwrap_or(&0);
        if self.taken == self.waiting.len() {
            self.waiting.clear();
            self.taken = 0;
        }
        if self.held_bytes > 0 && self.waiting.is_empty() && result.is_ok() {
            result = self.show_held();
        }
        if result.is_err() {
            self.close();
        }
        self.full = self.full.filter(|_| self.held_bytes > 0);
        let taken = before.saturating_sub(self.behind());
        if taken > 0 {
            self.moved = monotonic();
            self.owed = self.owed.saturating_sub(taken);
        }
        result.map(drop)
    }

    /// Shows what waits in the file, by way of the memory that nothing waits in.
    fn show_held(&mut self) -> Result<usize, Errno> {
        let Some(mut held) = self.held.take() else { return Ok(0) };
        let mut waiting = mem::take(&mut self.waiting);
        let mut left = SHOWN_AT_ONCE;
        let piece = waiting.space_mut();
        let piece = piece.get_mut(..PIECE.min(piece.len())).unwrap_or_default();
        let shown = held.show(piece, |bytes| {
            let written = if left > 0 { self.write(bytes)? } else { 0 };
            left = left.saturating_sub(written);
            Ok(written)
        });
        self.waiting = waiting;
        self.held_bytes = self.held_bytes.saturating_sub(*shown.as_ref().unwrap_or(&0));
        self.held = Some(held);
        shown.map(|_| 0)
    }

    /// How many bytes the console took.
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let Some(descriptor) = &self.descriptor else { return Ok(bytes.len()) };
        let result = self.mode.write(descriptor, bytes);
        match result {
            // There may be room again at the next write: until then nothing waits, for the run must not.
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::NOBUFS | Errno::NOMEM)) => {
                self.leave_out(error);
                return Ok(bytes.len());
            }
            Err(_) => self.descriptor = None,
            Ok(_) => {}
        }
        result
    }
}
