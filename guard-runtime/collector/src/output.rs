//! Where everything collected goes: lines into the log first, then bytes to the console.

use core::fmt::{Arguments, Write};
use core::mem;

use rustix::fd::OwnedFd;
use rustix::io::Errno;

use crate::buffer::Buffer;
use crate::console::{self, Console};
use crate::file_name::NAME_MAX;
use crate::lines::{Batch, CONTINUATION, LineShaper, PREFIX, record_line};
use crate::log_file::LogFile;
use crate::protocol::{CLOSING_CAPACITY, Severity};
use crate::stamp::{self, Stamper};
use crate::stdio::{PerStdio, Stdio};

/// A time before any other: the line has the latest stamp given out.
const LATEST: u64 = 0;
/// Lines gathered for one write to the log.
pub(crate) const BATCH_CAPACITY: usize = 640 * 1024;
/// Memory that it is lent.
pub(crate) const MEMORY: usize = BATCH_CAPACITY + 2 * console::CAPACITY + CLOSING_NOTE_CAPACITY;
const CLOSING_NOTE_CAPACITY: usize = CLOSING_CAPACITY + 128;

/// The log, and the consoles.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Output {
    log: LogFile,
    batch: Batch<'static>,
    closing_note: Buffer<'static>,
    stamper: Stamper,
    consoles: PerStdio<Console>,
    /// Standard output and standard error lead to the same place: one console serves both, in exact order.
    one_console: bool,
    /// Consoles whose bytes another run writes into this log.
    logged_outside: PerStdio<bool>,
    /// Bytes that the log could not take, and the last reason.
    missing: Option<(u64, Errno)>,
    told: Told,
    rotated: bool,
    ends_family: bool,
}

/// What the log says once, not with each batch.
#[derive(Default)]
struct Told {
    unrotated: bool,
    refused: bool,
    no_room: bool,
}

impl Output {
    /// `consoles` are what standard output and standard error led to before; `None` where they were closed. With
    /// `hold_console` they get nothing before `judge`.
    ///
    /// # Errors
    /// As pipe(2).
    pub fn new(
        log: LogFile,
        consoles: PerStdio<Option<OwnedFd>>,
        one_console: bool,
        hold_console: bool,
        lend: &mut impl FnMut(usize) -> &'static mut [u8],
    ) -> Result<Self, Errno> {
        let PerStdio { mut out, mut err } = consoles;
        let mut is_log = false;
        for console in [&mut out, &mut err] {
            if console.as_ref().is_some_and(|console| log.is_open_as(console)) {
                (*console, is_log) = (None, true);
            }
        }
        let hold_in = |is_used: bool| Some(log.directory()).filter(|_| hold_console && is_used);
        let consoles = PerStdio {
            out: Console::new(out, lend(console::CAPACITY), hold_in(true))?,
            err: Console::new(err, lend(console::CAPACITY), hold_in(!one_console))?,
        };
        let mut output = Self {
            log,
            batch: Batch::new(lend(BATCH_CAPACITY)),
            closing_note: Buffer::new(lend(CLOSING_NOTE_CAPACITY)),
            stamper: Stamper::default(),
            consoles,
            one_console,
            logged_outside: PerStdio::default(),
            missing: None,
            told: Told::default(),
            rotated: false,
            ends_family: false,
        };
        if is_log {
            output
                .note(Severity::Info, format_args!("the console leads to this log: what is printed stands here alone"));
        }
        Ok(output)
    }

    /// Leaves to the run that this one is a child of what goes to these consoles: it writes that into the same log.
    pub fn leave_to_outer_run(&mut self, consoles: PerStdio<bool>) {
        self.logged_outside = consoles;
        if consoles.out || consoles.err {
            let text = "the console leads to another run with this log, which has there what is printed to it";
            self.note(Severity::Info, format_args!("{text}"));
        }
    }

    pub(crate) fn is_logged_outside(&self, stream: Stdio) -> bool {
        *self.logged_outside.get(self.console_of(stream))
    }

    pub(crate) fn descriptors(&self) -> impl Iterator<Item = &OwnedFd> {
        let consoles = self.consoles.iter().flat_map(Console::descriptors);
        self.log.descriptors().into_iter().chain(consoles).flatten()
    }

    /// The consoles in which bytes wait for room.
    pub(crate) fn stalled(&self) -> PerStdio<Option<&OwnedFd>> {
        PerStdio { out: self.consoles.out.stalled(), err: self.consoles.err.stalled() }
    }

    pub(crate) fn console(&self, console: Stdio) -> Option<&OwnedFd> {
        self.consoles.get(self.console_of(console)).descriptor()
    }

    pub(crate) fn owe_what_waits(&mut self) {
        self.consoles.iter_mut().for_each(Console::owe_what_waits);
    }

    /// The run has ended, so: what was held back for that is shown, or not.
    pub(crate) fn judge(&mut self, has_failed: bool) {
        self.consoles.iter_mut().for_each(|console| console.judge(has_failed));
    }

    /// A file for the console was made since this was last asked: the standby is to have it too.
    pub(crate) fn take_new_file(&mut self) -> bool {
        [&mut self.consoles.out, &mut self.consoles.err].map(Console::take_new_file).contains(&true)
    }

    /// The run does not wait for a console any more that takes nothing: says so in the log.
    pub(crate) fn tell_given_up(&mut self) {
        if self.consoles.iter().any(Console::was_given_up) {
            let text = "the console has taken nothing for 10 s: the run ends without it, what waits for it stays";
            self.note(Severity::Warn, format_args!("{text}"));
        }
    }

    pub(crate) fn owes_the_run(&self) -> bool {
        self.consoles.iter().any(Console::owes_the_run)
    }

    /// Which of the consoles has what is printed to `stream`.
    pub(crate) fn console_of(&self, stream: Stdio) -> Stdio {
        if self.one_console { Stdio::Out } else { stream }
    }

    pub(crate) fn is_idle(&self, console: Stdio) -> bool {
        self.consoles.get(console).is_idle()
    }

    pub(crate) fn close_console(&mut self, console: Stdio) {
        self.consoles.get_mut(console).close();
    }

    /// In a standby that takes over.
    pub(crate) fn forget_the_unwritten(&mut self) {
        self.batch.clear();
        self.consoles.iter_mut().for_each(Console::forget_the_unwritten);
    }

    /// So much waits that the run should print no more for now.
    pub(crate) fn is_backed_up(&self) -> bool {
        self.consoles.iter().any(Console::is_backed_up)
    }

    /// Keeps no log file open; the next line opens it anew.
    pub(crate) fn release_log(&mut self) {
        self.log.release();
    }

    /// In a standby.
    pub(crate) fn hold_next_removed(&mut self) {
        self.log.hold_next_removed();
    }

    pub(crate) fn holds_next_removed(&self) -> bool {
        self.log.holds_next_removed()
    }

    /// Whether the log was rotated since this was last asked.
    pub(crate) fn take_rotated(&mut self) -> bool {
        mem::take(&mut self.rotated)
    }

    /// Printed bytes, which become lines of the log.
    pub(crate) fn printed(&mut self, shaper: &mut LineShaper<'_>, raw: &[u8], time: u64) {
        let mut rest = raw;
        loop {
            let taken = shaper.shape(rest, self.stamper.stamp(time), &mut self.batch);
            rest = rest.get(taken..).unwrap_or_default();
            if rest.is_empty() {
                break;
            }
            self.flush_log();
        }
    }

    /// The line that still waits for its newline becomes one.
    pub(crate) fn finish_line(&mut self, shaper: &mut LineShaper<'_>, time: u64) {
        self.break_line(shaper, time);
        shaper.forget();
    }

    /// What there is of the line that still waits for its newline is written; what follows goes on with it.
    pub(crate) fn break_line(&mut self, shaper: &mut LineShaper<'_>, time: u64) {
        self.make_space();
        shaper.break_line(self.stamper.stamp(time), &mut self.batch);
    }

    /// The same bytes for the console.
    pub(crate) fn show(&mut self, console: Stdio, raw: &[u8]) {
        let console = self.console_of(console);
        let result = self.consoles.get_mut(console).push(raw, self.log.directory());
        self.check_console(result);
    }

    /// A record said so, where `ends`.
    pub(crate) fn note_end_of_family(&mut self, ends: bool) {
        self.ends_family |= ends;
    }

    /// Whether one has, since this was last asked.
    pub(crate) fn ends_family(&mut self) -> bool {
        core::mem::take(&mut self.ends_family)
    }

    /// A record, or a line of our own.
    pub(crate) fn record(&mut self, severity: Severity, console: bool, text: &[u8], time: u64) {
        let (mut rest, mut first) = (text, true);
        while first || !rest.is_empty() {
            self.make_space();
            let start = self.batch.lines().len();
            let taken = record_line(rest, first, self.stamper.stamp(time), severity, &mut self.batch);
            let (line, behind) = rest.split_at_checked(taken).unwrap_or((rest, &[]));
            if console {
                // The console gets the text as it is, colours and all.
                let front = if first { PREFIX } else { CONTINUATION.len() };
                let front = self.batch.lines().get(start..start + front).unwrap_or_default();
                let target = if self.one_console { &mut self.consoles.out } else { &mut self.consoles.err };
                let mut push = |bytes| target.push(bytes, self.log.directory());
                let text = line.strip_suffix(b"\n").unwrap_or(line);
                let result = push(front).and_then(|()| push(text)).and_then(|()| push(b"\n"));
                if self.is_logged_outside(Stdio::Err) {
                    self.batch.truncate(start);
                }
                self.check_console(result);
            }
            (rest, first) = (behind, false);
        }
    }

    /// A line of our own.
    pub(crate) fn note(&mut self, severity: Severity, text: Arguments<'_>) {
        self.note_at(severity, text, stamp::now());
    }

    fn note_at(&mut self, severity: Severity, text: Arguments<'_>, time: u64) {
        let mut room = [0; 512];
        let mut line = Buffer::new(&mut room);
        let _ = write!(line, "guard_runtime: {text}");
        self.record(severity, false, &line, time);
    }

    /// The stamp that a line made at `time` gets.
    pub(crate) fn next_stamp(&self, time: u64) -> u64 {
        self.stamper.next(time)
    }

    /// The closing line, stamped `time`; not a second time where this is not the first attempt and it stands already.
    pub(crate) fn closing_line(&mut self, severity: Severity, text: &[u8], time: u64, is_first: bool) {
        if is_first {
            return self.record(severity, false, text, time);
        }
        self.flush_log();
        // The stamp has microseconds: no other line of this severity has both that and the text.
        // Its own, for lines that were written since may have moved ours on.
        record_line(text, true, Stamper::default().stamp(time), severity, &mut self.batch);
        let stands = self.log.ends_with_line(self.batch.lines());
        self.batch.clear();
        if !stands {
            self.record(severity, false, text, time);
        }
    }

    /// The same for a line that is ours.
    pub(crate) fn closing_note(&mut self, severity: Severity, text: Arguments<'_>, time: u64, is_first: bool) {
        let mut line = mem::take(&mut self.closing_note);
        line.clear();
        let _ = write!(line, "guard_runtime: {text}");
        self.closing_line(severity, &line, time, is_first);
        self.closing_note = line;
    }

    /// Log first, then console.
    pub(crate) fn flush(&mut self) {
        self.flush_log();
        for console in Stdio::ALL {
            let result = self.consoles.get_mut(console).flush();
            self.check_console(result);
        }
    }

    /// As `flush`, with bytes for one console that need not be gathered.
    pub(crate) fn flush_with(&mut self, console: Stdio, raw: &[u8]) {
        self.flush_log();
        let console = self.console_of(console);
        let result = self.consoles.get_mut(console).flush_with(raw, self.log.directory());
        self.check_console(result);
    }

    fn make_space(&mut self) {
        if !self.batch.has_space() {
            self.flush_log();
        }
    }

    pub(crate) fn flush_log(&mut self) {
        if self.batch.lines().is_empty() {
            return;
        }
        if let Some((bytes, error)) = self.missing {
            self.tell_missing(bytes, error);
        }
        let appended = self.log.append(self.batch.lines());
        self.batch.clear();
        self.rotated |= appended.rotated;
        if let Some((bytes, error)) = appended.lost {
            let before = self.missing.map_or(0, |(before, _)| before);
            self.missing = Some((before + bytes as u64, error));
        }
        if let Some(refusal) = appended.unrotated
            && !mem::replace(&mut self.told.unrotated, true)
        {
            let text = format_args!("the log cannot be rotated ({refusal}); it will exceed max_size");
            self.note_at(Severity::Warn, text, LATEST);
        }
        let was_told = mem::replace(&mut self.told.refused, appended.refused.is_some());
        if let (Some(refusal), false) = (appended.refused, was_told) {
            let mut room = [0; NAME_MAX];
            let mut name = Buffer::new(&mut room);
            name.extend(self.log.name());
            let text = format_args!(
                "the log cannot be opened again ({refusal}): {}; the file that was is written on",
                name.escape_ascii()
            );
            self.note_at(Severity::Warn, text, LATEST);
        }
    }

    /// Only once there is room again: the line itself is the probe.
    fn tell_missing(&mut self, bytes: u64, error: Errno) {
        let mut room = [0; 256];
        let mut line = Buffer::new(&mut room);
        line.extend(self.stamper.stamp(LATEST));
        let error = error.raw_os_error();
        let _ = writeln!(
            line,
            " [WARN ] guard_runtime: {bytes} bytes are missing here: the log could not be written (os error {error})"
        );
        if self.log.append(&line).lost.is_none() {
            self.missing = None;
        }
    }

    fn check_console(&mut self, result: Result<(), Errno>) {
        let shortage = self.consoles.iter_mut().find_map(Console::take_shortage);
        if let Some(error) = shortage {
            let error = error.raw_os_error();
            let text =
                format_args!("the console has no room (os error {error}): what is missing there stands here alone");
            self.make_space();
            self.note_at(Severity::Warn, text, LATEST);
        }
        let trouble = [&mut self.consoles.out, &mut self.consoles.err].map(Console::take_trouble);
        if let [Some(error), _] | [_, Some(error)] = trouble
            && !mem::replace(&mut self.told.no_room, true)
        {
            let error = error.raw_os_error();
            let text = format_args!("there is no file to hold what the console is not to have yet (os error {error})");
            self.make_space();
            self.note_at(Severity::Warn, text, LATEST);
        }
        if let Err(error) = result {
            let error = error.raw_os_error();
            let text = format_args!("the console is gone (os error {error}); the log goes on alone");
            self.make_space();
            self.note_at(Severity::Warn, text, LATEST);
        }
    }
}
