//! What the collector leaves to a standby that takes over from it: memory that both share.
//!
//! A message could be on its way when the collector is killed, or be sent before its deed is done. What stands here was
//! written by the last instruction of the dead collector, and the closing line is read from the control pipe right into it.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use crate::protocol::{CLOSING_CAPACITY, END_OF_CLOSING_LINE, Severity, Told};
use crate::stage::Stage;
use crate::stamp::since_boot;
use crate::state::State;
use crate::stdio::{PerStdio, Stdio};

/// The journal of one run. All zeroes is that of a run that has just begun.
#[derive(Debug, Default)]
pub struct Journal {
    state: AtomicU8,
    /// Nothing more goes to that console.
    shown: PerStdio<AtomicBool>,
    /// The stamp of the closing line, microseconds since 1970; 0 as long as no attempt was made to write it.
    closing_time: AtomicU64,
    /// What is being done about the run's processes.
    stage: AtomicU8,
    /// When what the stage asks for was done, microseconds by the monotonic clock; 0 before.
    stage_since: AtomicU64,
    /// When the collector last looked after them.
    stirred: AtomicU64,
    /// When the run was seen dead: microseconds since 1970.
    died: AtomicU64,
    /// The same, since the boot.
    died_after_boot: AtomicU64,
    stage_at_death: AtomicU8,
    told: AtomicU8,
    timed_out: AtomicBool,
    lock_lost: AtomicBool,
    /// When a standby last took over, microseconds by the monotonic clock.
    took_over: AtomicU64,
    quick_takeovers: AtomicU64,
    standby: AtomicU64,
}

/// Lines of the log that are written once.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
pub(crate) enum OnceLine {
    /// Who lives on.
    Names = 1,
    /// That the lock cannot be had.
    NoLock = 2,
}

/// Memory that a run's helpers share: the journal, and room for the closing line.
pub struct Shared {
    pub(crate) journal: &'static Journal,
    pub(crate) closing: &'static mut [u8; CLOSING_CAPACITY],
}

impl Shared {
    /// Of memory that is mapped shared and filled with zeroes.
    pub fn new(journal: &'static Journal, closing: &'static mut [u8; CLOSING_CAPACITY]) -> Self {
        Self { journal, closing }
    }

    /// The closing line as far as it was read, and whether that is all of it.
    pub(crate) fn closing_line(&self) -> (&[u8], bool) {
        // The line has no NUL in it: the first one is where nothing was read to yet.
        let length = memchr::memchr2(END_OF_CLOSING_LINE, 0, self.closing).unwrap_or(self.closing.len());
        let is_whole = self.closing.get(length) == Some(&END_OF_CLOSING_LINE);
        (self.closing.get(..length).unwrap_or_default(), is_whole)
    }

    /// What the run said of its end, if it did: how grave that is, what is known, and the closing line's text.
    pub(crate) fn told(&self) -> Option<(Severity, Told, &[u8])> {
        let (&severity, rest) = self.closing_line().0.split_first()?;
        let (told, text, _) = Told::parse(rest)?;
        Some((Severity::from_byte(severity).unwrap_or(Severity::Error), told, text))
    }

    /// The reason that the run gave; empty where it gave none.
    pub(crate) fn reason(&self) -> &[u8] {
        let told = self.closing_line().0.get(1..).and_then(Told::parse);
        told.map_or(&[], |(_, _, reason)| reason)
    }
}

impl Journal {
    pub(crate) fn state(&self) -> State {
        State::from_byte(self.state.load(Ordering::Acquire))
    }

    pub(crate) fn enter(&self, state: State) {
        self.state.store(state.to_byte(), Ordering::Release);
    }

    pub(crate) fn stage(&self) -> Stage {
        Stage::from_byte(self.stage.load(Ordering::Acquire))
    }

    pub(crate) fn enter_stage(&self, stage: Stage) {
        self.stage_since.store(0, Ordering::Release);
        self.stage.store(stage as u8, Ordering::Release);
    }

    pub(crate) fn stage_since(&self) -> u64 {
        self.stage_since.load(Ordering::Acquire)
    }

    pub(crate) fn set_stage_since(&self, time: u64) {
        self.stage_since.store(time, Ordering::Release);
    }

    pub(crate) fn stirred(&self) -> u64 {
        self.stirred.load(Ordering::Acquire)
    }

    pub(crate) fn stir(&self, time: u64) {
        self.stirred.store(time, Ordering::Release);
    }

    /// The number of the standby that takes over; an older one may live for a moment.
    pub(crate) fn standby(&self) -> u64 {
        self.standby.load(Ordering::Acquire)
    }

    pub(crate) fn set_standby(&self, number: u64) {
        self.standby.store(number, Ordering::Release);
    }

    /// A standby takes over now. Returns how often in a row that has been within `soon` of the time before.
    pub(crate) fn count_takeover(&self, now: u64, soon: u64) -> u64 {
        let is_soon = now < self.took_over.load(Ordering::Acquire) + soon;
        let count = if is_soon { self.quick_takeovers.load(Ordering::Acquire) + 1 } else { 0 };
        self.quick_takeovers.store(count, Ordering::Release);
        self.took_over(now);
        count
    }

    /// It has, after a rest.
    pub(crate) fn took_over(&self, now: u64) {
        self.took_over.store(now, Ordering::Release);
    }

    /// When the run was seen dead; 0 where it was not.
    pub(crate) fn died(&self) -> u64 {
        self.died.load(Ordering::Acquire)
    }

    pub(crate) fn died_after_boot(&self) -> u64 {
        self.died_after_boot.load(Ordering::Acquire)
    }

    /// The first time counts.
    pub(crate) fn note_death(&self, time: u64) {
        if self.died() == 0 {
            self.stage_at_death.store(self.stage() as u8, Ordering::Release);
            self.died_after_boot.store(since_boot(), Ordering::Release);
            self.died.store(time, Ordering::Release);
        }
    }

    pub(crate) fn stage_at_death(&self) -> Stage {
        Stage::from_byte(self.stage_at_death.load(Ordering::Acquire))
    }

    /// The run was told to end because it took longer than its timeout.
    pub(crate) fn timed_out(&self) -> bool {
        self.timed_out.load(Ordering::Acquire)
    }

    pub(crate) fn note_timeout(&self) {
        self.timed_out.store(true, Ordering::Release);
    }

    /// The run ends itself because it has lost its cluster lock.
    pub(crate) fn lock_lost(&self) -> bool {
        self.lock_lost.load(Ordering::Acquire)
    }

    pub(crate) fn note_lost_lock(&self) {
        self.lock_lost.store(true, Ordering::Release);
    }

    /// Says whether this is the first time.
    pub(crate) fn tell_once(&self, what: OnceLine) -> bool {
        self.told.fetch_or(what as u8, Ordering::AcqRel) & what as u8 == 0
    }

    pub(crate) fn shown(&self, console: Stdio) -> bool {
        self.shown.get(console).load(Ordering::Acquire)
    }

    pub(crate) fn note_shown(&self, console: Stdio) {
        self.shown.get(console).store(true, Ordering::Release);
    }

    /// The closing line's stamp: that of the first attempt to write it, which is `now` where there was none.
    pub(crate) fn closing_time(&self, now: u64) -> (u64, bool) {
        match self.closing_time.compare_exchange(0, now, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => (now, true),
            Err(first) => (first, false),
        }
    }
}
