//! A run that takes too long, and what is left of one that has ended: ended, or waited for with the lock held.

use core::ffi::CStr;
use core::fmt::Display;
use core::sync::atomic::{AtomicU64, Ordering};

use rustix::event::Timespec;
use rustix::process::Pid;

use crate::family::{self, Blind, Family, FamilyMemory, Found, StreamId};
use crate::held_lock::HeldLock;
use crate::journal::Journal;
use crate::moment::Span;
use crate::remains_text::{Description, Others};
use crate::stage::{Stage, Survivors};
use crate::stamp::{monotonic, since_boot};
use crate::state::State;

/// Between looks at what lives, and at what was started meanwhile. Microseconds, as all times here.
const LOOK: u64 = 100_000;
const LOOK_AFTER_KILL: u64 = 10_000;
/// A collector that has not stirred for so long while it holds the lock, or is needed for a timeout, is stopped.
const STIR: u64 = 10_000_000;
/// Between signs of life of a run: whoever cannot see it takes it for dead after two and a half of these.
pub(crate) const SIGN_OF_LIFE: u64 = 60_000_000;
/// A process that dies closes its descriptors one after the other, a moment before it is dead.
pub(crate) const DYING: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// What a run may take, and what becomes of its processes.
#[derive(Debug)]
pub struct Limits {
    /// The run's process.
    pub pid: Pid,
    /// How long it may take. Microseconds by the monotonic clock.
    pub timeout: Option<u64>,
    /// From SIGTERM to SIGKILL, in microseconds.
    pub kill_after: u64,
    /// The same where the run has lost its cluster lock.
    pub loss_grace: u64,
    /// When the kernel ends a run that has lost that lock and cannot end itself: microseconds since the boot, 0 where that is
    /// not set. In memory that the run writes.
    pub kill_at: Option<&'static AtomicU64>,
    /// What becomes of the processes that a dead run leaves.
    pub survivors: Survivors,
    /// The captured streams.
    pub streams: [Option<StreamId>; 2],
    /// The lock file's absolute path.
    pub lock: &'static CStr,
    /// The lines of the lock's record that a helper's has too.
    pub record: &'static [u8],
}

/// What a collector knows of it.
pub(crate) struct Remains {
    pub(crate) limits: Limits,
    pub(crate) family: Family<'static>,
    pub(crate) lock: Option<HeldLock>,
    /// When the run began, as a process's birth is told.
    pub(crate) began: u64,
    pub(crate) started: u64,
    pub(crate) next_scan: u64,
    pub(crate) next_sign: u64,
    /// What the last scan found, and how many lived then.
    pub(crate) found: Result<Found, Blind>,
    pub(crate) living: usize,
}

impl Remains {
    pub(crate) fn new(limits: Limits, memory: FamilyMemory<'static>, started: u64) -> Self {
        let (family, began, found) = (Family::new(memory), family::now(), Ok(Found::default()));
        let next_sign = started + SIGN_OF_LIFE;
        Self { limits, family, lock: None, began, started, next_scan: 0, next_sign, found, living: 0 }
    }

    /// When something is to be done though nothing happens.
    pub(crate) fn next_look(&self, journal: &Journal, state: State) -> Option<u64> {
        match journal.stage() {
            Stage::Idle if matches!(state, State::Running { .. }) => {
                let timeout = self.limits.timeout.map(|timeout| self.started + timeout);
                let loss = self.loss_due().map(|due| monotonic() + due.saturating_sub(since_boot()));
                timeout.into_iter().chain(loss).min()
            }
            Stage::Idle | Stage::Over => None,
            Stage::Killing => Some(monotonic() + LOOK_AFTER_KILL),
            Stage::Terminating => Some((monotonic() + LOOK).min(journal.stage_since() + self.grace(journal))),
            Stage::Holding => Some(monotonic() + LOOK),
        }
    }

    /// From SIGTERM to SIGKILL.
    pub(crate) fn grace(&self, journal: &Journal) -> u64 {
        if journal.lock_lost() { self.limits.loss_grace } else { self.limits.kill_after }
    }

    /// When the cluster lock is lost though the run has not said so, as it does where it can: at the beginning of what is left
    /// to it and to its processes. Microseconds since the boot.
    pub(crate) fn loss_due(&self) -> Option<u64> {
        let kill_at = self.limits.kill_at?.load(Ordering::Acquire);
        (kill_at != 0).then(|| kill_at.saturating_sub(self.limits.loss_grace / 4 * 3))
    }

    /// The run's program has been replaced (exec(2)), or has closed what leads to us: nobody keeps that time.
    pub(crate) fn forget_loss(&self) {
        if let Some(kill_at) = self.limits.kill_at {
            kill_at.store(0, Ordering::Release);
        }
    }

    /// In a standby: when a collector that has not stirred by then is stopped.
    pub(crate) fn check_due(&self, journal: &Journal) -> Option<u64> {
        match journal.stage() {
            Stage::Idle if matches!(journal.state(), State::Running { .. }) => {
                Some((self.started + self.limits.timeout?).max(journal.stirred()) + STIR)
            }
            Stage::Idle | Stage::Over => None,
            Stage::Terminating | Stage::Killing | Stage::Holding => Some(journal.stirred() + STIR),
        }
    }

    /// In a standby that takes over: its copy of what the dead collector knew is old.
    pub(crate) fn recall(&mut self) {
        self.family.recall();
    }

    /// How long the run may take.
    pub(crate) fn timeout(&self) -> impl Display + use<> {
        Span(self.limits.timeout.unwrap_or_default())
    }

    /// What is started next has the limits that the run had.
    pub(crate) fn restore_limits(&mut self) {
        self.family.restore_descriptor_limit();
    }

    pub(crate) fn others(&self) -> Others<'_> {
        Others { family: &self.family, blind: self.found.err() }
    }

    pub(crate) fn describe(&self) -> Description<'_> {
        Description { family: &self.family, blind: self.found.err() }
    }
}
