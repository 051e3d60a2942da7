//! What the collector leaves to a standby that takes over from it: memory that both share.
//!
//! A message could be on its way when the collector is killed, or be sent before its deed is done. What stands here was
//! written by the last instruction of the dead collector, and the closing line is read from the control pipe right into it.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use crate::protocol::{CLOSING_CAPACITY, END_OF_CLOSING_LINE};
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
        let end = memchr::memchr(END_OF_CLOSING_LINE, self.closing);
        // The line has no NUL in it: the first one is where nothing was read to yet.
        let length = end.or_else(|| memchr::memchr(0, self.closing)).unwrap_or(self.closing.len());
        (self.closing.get(..length).unwrap_or_default(), end.is_some())
    }
}

impl Journal {
    pub(crate) fn state(&self) -> State {
        State::from_byte(self.state.load(Ordering::Acquire))
    }

    pub(crate) fn enter(&self, state: State) {
        self.state.store(state.to_byte(), Ordering::Release);
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
