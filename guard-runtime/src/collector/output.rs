//! Where everything collected goes: lines into the log first, then bytes to the console.

use std::io::Write;
use std::os::fd::{OwnedFd, RawFd};

use rustix::io::Errno;

use super::console::Console;
use super::lines::{Batch, FURTHER, LineShaper, PREFIX, record_line};
use super::log_file::LogFile;
use super::stamp::Stamper;
use crate::frame::Severity;

/// Lines gathered for one write to the log.
const BATCH_ROOM: usize = 640 * 1024;

pub(super) struct Output {
    log: LogFile,
    batch: Batch,
    stamper: Stamper,
    consoles: [Console; 2],
    /// Standard output and standard error lead to the same place: one console serves both, in exact order.
    one_console: bool,
    /// Bytes that the log could not take, and the last reason.
    missing: Option<(u64, Errno)>,
    told_unrotated: bool,
    rotated: bool,
}

impl Output {
    pub(super) fn new(
        log: LogFile,
        [stdout, stderr]: [Option<OwnedFd>; 2],
        one_console: bool,
    ) -> std::io::Result<Self> {
        Ok(Self {
            log,
            batch: Batch::with_room(BATCH_ROOM),
            stamper: Stamper::new(),
            consoles: [Console::new(stdout)?, Console::new(stderr)?],
            one_console,
            missing: None,
            told_unrotated: false,
            rotated: false,
        })
    }

    pub(super) fn descriptors(&self) -> impl Iterator<Item = RawFd> {
        let consoles = self.consoles.iter().flat_map(Console::descriptors);
        self.log.descriptors().into_iter().chain(consoles).flatten().map(super::number)
    }

    /// The consoles in which bytes wait for room.
    pub(super) fn stalled(&self) -> [Option<&OwnedFd>; 2] {
        [self.consoles[0].stalled(), self.consoles[1].stalled()]
    }

    pub(super) fn console(&self, console: usize) -> Option<&OwnedFd> {
        self.consoles[self.console_of(console)].descriptor()
    }

    pub(super) fn owe_what_waits(&mut self) {
        self.consoles.iter_mut().for_each(Console::owe_what_waits);
    }

    pub(super) fn owes_the_run(&self) -> bool {
        self.consoles.iter().any(Console::owes_the_run)
    }

    /// Which of the consoles has what is printed to `stream` (0: standard output, 1: standard error).
    pub(super) fn console_of(&self, stream: usize) -> usize {
        if self.one_console { 0 } else { stream }
    }

    pub(super) fn is_idle(&self, console: usize) -> bool {
        self.consoles[console].is_idle()
    }

    pub(super) fn close_console(&mut self, console: usize) {
        self.consoles[console].close();
    }

    /// In a keeper that takes over.
    pub(super) fn forget_the_unwritten(&mut self) {
        self.batch.clear();
        self.consoles.iter_mut().for_each(Console::forget_the_unwritten);
    }

    /// So much waits that the run should print no more for now.
    pub(super) fn is_backed_up(&self) -> bool {
        self.consoles.iter().any(Console::is_backed_up)
    }

    pub(super) fn log_directory(&self) -> &OwnedFd {
        self.log.directory()
    }

    /// Keeps no log file open; the next line opens it anew.
    pub(super) fn release_log(&mut self) {
        self.log.release();
    }

    /// In a keeper.
    pub(super) fn hold_next_removed(&mut self) {
        self.log.hold_next_removed();
    }

    pub(super) fn holds_next_removed(&self) -> bool {
        self.log.holds_next_removed()
    }

    /// Whether the log was rotated since this was last asked.
    pub(super) fn take_rotated(&mut self) -> bool {
        std::mem::take(&mut self.rotated)
    }

    /// Printed bytes, which become lines of the log.
    pub(super) fn printed(&mut self, shaper: &mut LineShaper, raw: &[u8], time: u64) {
        let mut rest = raw;
        loop {
            let taken = shaper.shape(rest, self.stamper.stamp(time), &mut self.batch);
            rest = &rest[taken..];
            if rest.is_empty() {
                break;
            }
            self.flush_log();
        }
    }

    /// The line that still waits for its newline becomes one.
    pub(super) fn finish_line(&mut self, shaper: &mut LineShaper, time: u64) {
        self.break_line(shaper, time);
        shaper.forget();
    }

    /// What there is of the line that still waits for its newline is written; what follows goes on with it.
    pub(super) fn break_line(&mut self, shaper: &mut LineShaper, time: u64) {
        self.make_room();
        shaper.break_line(self.stamper.stamp(time), &mut self.batch);
    }

    /// The same bytes for the console (0: standard output, 1: standard error).
    pub(super) fn show(&mut self, console: usize, raw: &[u8]) {
        let console = self.console_of(console);
        let result = self.consoles[console].push(raw);
        self.check_console(result);
    }

    /// A record, or a line of our own.
    pub(super) fn record(&mut self, severity: Severity, console: bool, text: &[u8], time: u64) {
        let (mut rest, mut first) = (text, true);
        while first || !rest.is_empty() {
            self.make_room();
            let start = self.batch.lines().len();
            let taken = record_line(rest, first, self.stamper.stamp(time), severity, &mut self.batch);
            if console {
                // The console gets the text as it is, colours and all.
                let target = self.console_of(1);
                let front = &self.batch.lines()[start..][..if first { PREFIX } else { FURTHER.len() }];
                let text = rest[..taken].strip_suffix(b"\n").unwrap_or(&rest[..taken]);
                let mut push = |bytes| self.consoles[target].push(bytes);
                let result = push(front).and_then(|()| push(text)).and_then(|()| push(b"\n"));
                self.check_console(result);
            }
            (rest, first) = (&rest[taken..], false);
        }
    }

    /// A line of our own, formatted without allocating.
    pub(super) fn note(&mut self, severity: Severity, time: u64, text: std::fmt::Arguments<'_>) {
        let mut buffer = [0; 512];
        let mut rest = &mut buffer[..];
        let _ = rest.write_fmt(format_args!("guard_runtime: {text}"));
        let length = 512 - rest.len();
        self.record(severity, false, &buffer[..length], time);
    }

    /// Log first, then console.
    pub(super) fn flush(&mut self) {
        self.flush_log();
        for console in 0..2 {
            let result = self.consoles[console].flush();
            self.check_console(result);
        }
    }

    /// As `flush`, with bytes for one console that need not be gathered.
    pub(super) fn flush_with(&mut self, console: usize, raw: &[u8]) {
        self.flush_log();
        let console = self.console_of(console);
        let result = self.consoles[console].flush_with(raw);
        self.check_console(result);
    }

    fn make_room(&mut self) {
        if !self.batch.has_room() {
            self.flush_log();
        }
    }

    pub(super) fn flush_log(&mut self) {
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
        if let Some(error) = appended.unrotated
            && !std::mem::replace(&mut self.told_unrotated, true)
        {
            let error = error.raw_os_error();
            self.note(Severity::Warn, 0, format_args!("the log cannot be rotated (os error {error}); it grows on"));
        }
    }

    /// Only once there is room again: the line itself is the probe.
    fn tell_missing(&mut self, bytes: u64, error: Errno) {
        let mut buffer = [0; 256];
        let mut rest = &mut buffer[..];
        let _ = rest.write_all(self.stamper.stamp(0));
        let error = error.raw_os_error();
        let _ = writeln!(
            rest,
            " [WARN ] guard_runtime: {bytes} bytes are missing here: the log could not be written (os error {error})"
        );
        let length = 256 - rest.len();
        if self.log.append(&buffer[..length]).lost.is_none() {
            self.missing = None;
        }
    }

    fn check_console(&mut self, result: Result<(), Errno>) {
        if let Err(error) = result {
            let error = error.raw_os_error();
            let text = format_args!("the console is gone (os error {error}); the log goes on alone");
            self.make_room();
            self.note(Severity::Warn, 0, text);
        }
    }
}
