//! A stream of the run: reads it, and tells frames and printed text apart.

use core::mem;

use rustix::event::PollFlags;
use rustix::fd::OwnedFd;
use rustix::io::Errno;

use crate::buffer::Buffer;
use crate::lines::{LineShaper, MAX_LINE};
use crate::mirror::Follower;
use crate::output::Output;
use crate::protocol::{self, Decoder, MAX_TEXT, Record, Severity, Step};
use crate::readiness::has_hung_up;
use crate::run_stat::RunStat;
use crate::stamp;
use crate::stdio::Stdio;

/// Bytes read at once.
const READ_CAPACITY: usize = 256 * 1024;
/// Memory that a stream is lent.
pub(crate) const MEMORY: usize = READ_CAPACITY + 2 * MAX_LINE;
/// More than a pseudo-terminal holds: 8 KiB on their way (Linux: `pty_common_install`; another kernel may have its 64 KiB
/// for terminals) and a page that is ready to be read.
const TERMINAL_CAPACITY: u64 = 128 * 1024;

/// The reading end of one stream.
pub struct Stream {
    /// `None` once the stream has ended.
    reader: Option<OwnedFd>,
    is_terminal: bool,
    /// Of a terminal that tells of changes of its flags.
    follower: Option<Follower>,
    shaper: LineShaper<'static>,
    /// Which console its printed bytes go to.
    pub(crate) console: Stdio,
    /// What was read; between reads, only bytes that may be the start of a frame.
    input: Buffer<'static>,
    /// A record whose further frames are still to come.
    record: Option<(Severity, bool, u64)>,
    record_text: Buffer<'static>,
    /// Bytes still to be read of what was in the pipe when the run's end was seen.
    left: Option<u64>,
}

impl Stream {
    /// What is printed to `stdio` (standard output's may have both), out of a pipe or a pseudo-terminal. `real` is the
    /// terminal whose place the latter takes, where it tells of changes.
    pub fn new(
        reader: OwnedFd,
        stdio: Stdio,
        is_terminal: bool,
        real: Option<&OwnedFd>,
        lend: &mut impl FnMut(usize) -> &'static mut [u8],
    ) -> Self {
        let name = match stdio {
            Stdio::Out => *b"OUT ",
            Stdio::Err => *b"ERR ",
        };
        Self {
            reader: Some(reader),
            is_terminal,
            follower: real.map(Follower::new),
            shaper: LineShaper::new(name, lend(MAX_LINE)),
            console: stdio,
            input: Buffer::new(lend(READ_CAPACITY)),
            record: None,
            record_text: Buffer::new(lend(MAX_LINE)),
            left: None,
        }
    }

    pub(crate) fn reader(&self) -> Option<&OwnedFd> {
        self.reader.as_ref()
    }

    /// The program's end is a pseudo-terminal, and still there.
    pub(crate) fn terminal(&self) -> Option<&OwnedFd> {
        self.reader.as_ref().filter(|_| self.is_terminal)
    }

    /// Keeps the real terminal's flags and the pseudo-terminal's alike, and passes on what was typed.
    pub(crate) fn follow(&mut self, keys: PollFlags, run: Option<&RunStat>) {
        if let (Some(follower), Some(ours)) = (&mut self.follower, &self.reader) {
            follower.follow(keys, ours, run);
        }
    }

    /// The real terminal, to be polled for keys.
    pub(crate) fn wanted_keys(&self, run: Option<&RunStat>) -> Option<&OwnedFd> {
        self.reader.as_ref().and(self.follower.as_ref())?.wanted_keys(run)
    }

    /// The real terminal, for the collector to keep.
    pub(crate) fn real_terminal(&self) -> Option<&OwnedFd> {
        self.follower.as_ref()?.real_terminal()
    }

    /// Nothing more is passed on to the real terminal.
    pub(crate) fn let_go_of_terminal(&mut self) {
        if let Some(follower) = &mut self.follower {
            follower.let_go();
        }
    }

    /// In a standby that takes over: drops what the dead collector may have written already.
    pub(crate) fn forget(&mut self) {
        self.input.clear();
        self.record = None;
        self.record_text.clear();
        self.shaper.forget();
        self.left = None;
    }

    /// Reads one batch and passes it on; says whether there was more than was read at once.
    pub(crate) fn read(&mut self, decoder: &Decoder<'_>, output: &mut Output, run: Option<&RunStat>) -> bool {
        let Some(reader) = &self.reader else { return false };
        let before = self.input.len();
        let mut hung_up = false;
        // A pipe gives at once what it has; a terminal gives a page at a time.
        let outcome = loop {
            let result = match &mut self.follower {
                Some(follower) => follower.read(reader, self.input.space_mut(), run),
                None => rustix::io::read(reader, self.input.space_mut()),
            };
            match result {
                Ok(0) => break Err(Errno::IO),
                Ok(count) => self.input.advance(count),
                Err(Errno::INTR) => continue,
                // The kernel looks for input first and for the hang-up then: some may have come in between.
                Err(Errno::IO) if self.is_terminal && !mem::replace(&mut hung_up, true) => continue,
                Err(error) => break Err(error),
            }
            if !self.is_terminal || self.input.space() == 0 {
                break Ok(());
            }
        };
        let (count, filled) = (self.input.len() - before, self.input.space() == 0);
        self.left = self.left.map(|left| left.saturating_sub(count as u64));
        if count > 0 {
            // A read that did not fill its room emptied the pipe, and frames come whole: none is cut at its end. On a
            // terminal one may be.
            self.process_input(filled || self.is_terminal, decoder, output);
        }
        match outcome {
            Ok(()) => {}
            // Nothing is on its way either: the kernel looks there before it says so (n_tty_read).
            Err(Errno::AGAIN) => self.left = self.left.map(|_| 0),
            Err(_) => {
                self.reader = None;
                self.finish(decoder, output);
            }
        }
        filled
    }

    /// Frames and printed bytes, in the order in which they were written.
    fn process_input(&mut self, more_may_come: bool, decoder: &Decoder<'_>, output: &mut Output) {
        let now = stamp::now();
        let mut input = mem::take(&mut self.input);
        let mut at = 0;
        // Nothing but printed text, the most common case: to the console without a copy.
        let mut direct = false;
        while let Some(rest) = input.get(at..).filter(|rest| !rest.is_empty()) {
            match decoder.step(rest, more_may_come) {
                Step::Incomplete => break,
                Step::Raw(raw) => {
                    direct = raw.len() == input.len() && self.left.is_none();
                    at += raw.len();
                    // A printed line's stamp is no later than that of the record behind it.
                    let behind = input.get(at..).filter(|rest| !rest.is_empty());
                    let time = match behind.map(|rest| decoder.step(rest, more_may_come)) {
                        Some(Step::Frame(record, _)) => now.min(record.time),
                        _ => now,
                    };
                    if !output.is_logged_outside(self.console) {
                        output.printed(&mut self.shaper, raw, time);
                    }
                    if !direct {
                        output.show(self.console, raw);
                    }
                }
                Step::Frame(record, size) => {
                    at += size;
                    self.process_record(&record, now, output);
                }
            }
        }
        if direct {
            output.flush_with(self.console, &input);
        }
        input.discard_front(at);
        self.input = input;
    }

    fn process_record(&mut self, record: &Record<'_>, now: u64, output: &mut Output) {
        if self.is_terminal {
            let mut room = [0; MAX_TEXT];
            let mut restored = Buffer::new(&mut room);
            protocol::restore(record.text, &mut restored);
            self.process_plain_record(&Record { text: &restored, ..*record }, now, output);
        } else {
            self.process_plain_record(record, now, output);
        }
    }

    fn process_plain_record(&mut self, record: &Record<'_>, now: u64, output: &mut Output) {
        let Record { severity, console, continuation, more, ends_family, time, text } = *record;
        output.note_end_of_family(ends_family);
        // A header that was torn may say anything, and a stamp far ahead would stop the clock for all that follow.
        let time = time.min(now);
        if !continuation && !more {
            return output.record(severity, console, text, time);
        }
        // A record that begins while another is unfinished comes from another process: a forked child of the user's.
        if !continuation || self.record_text.space() < text.len() {
            self.finish_record(output);
        }
        self.record.get_or_insert((severity, console, time));
        self.record_text.extend(text);
        if !more {
            self.finish_record(output);
        }
    }

    fn finish_record(&mut self, output: &mut Output) {
        if let Some((severity, console, time)) = self.record.take() {
            output.record(severity, console, &self.record_text, time);
        }
        self.record_text.clear();
    }

    /// The run has written its last: whatever the pipe holds now contains the rest of it. A child of the run that prints
    /// without end cannot put the end off.
    pub(crate) fn measure(&mut self) {
        if let (None, Some(reader)) = (self.left, &self.reader) {
            let unread = rustix::io::ioctl_fionread(reader).unwrap_or(0);
            // Of a terminal, that is not all: some is on its way.
            self.left = Some(if self.is_terminal { TERMINAL_CAPACITY } else { unread });
        }
    }

    /// Nothing that the run wrote is still unread.
    pub(crate) fn is_drained(&self) -> bool {
        self.left == Some(0) || self.reader.is_none()
    }

    /// The run has ended. It has closed its end of the stream, but a child that lives on may be in the middle of a line, for
    /// programs write to a pipe a block at a time: it goes on with that, in a piece of its own.
    pub(crate) fn end_run(&mut self, decoder: &Decoder<'_>, output: &mut Output) {
        if self.has_hung_up() || self.reader.is_none() {
            self.finish(decoder, output);
        } else {
            output.break_line(&mut self.shaper, stamp::now());
        }
    }

    /// Nobody can write to it any more, and everything that was has been read.
    pub(crate) fn has_hung_up(&self) -> bool {
        self.reader.as_ref().is_some_and(has_hung_up)
    }

    /// Nothing more will complete what is half there.
    fn finish(&mut self, decoder: &Decoder<'_>, output: &mut Output) {
        if !self.input.is_empty() {
            self.process_input(false, decoder, output);
        }
        self.finish_record(output);
        output.finish_line(&mut self.shaper, stamp::now());
    }
}
