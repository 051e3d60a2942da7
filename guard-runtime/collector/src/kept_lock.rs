//! The run's lock, kept by a helper for what is left of the run.

use rustix::io::Errno;
use rustix::process::getpid;

use crate::buffer::Buffer;
use crate::collector::Collector;
use crate::family;
use crate::held_lock::{self, HeldLock, Record};
use crate::journal::OnceLine;
use crate::protocol::Severity;
use crate::readiness::{AT_ONCE, is_ready_within};
use crate::remains::{DYING, Limits, SIGN_OF_LIFE};
use crate::stamp::{monotonic, since_boot};
use crate::state::State;

/// Who has the lock so long after the run's death, in microseconds, is another run.
const SETTLED: u64 = 100_000;

impl Collector {
    /// The run lives, but its code has closed descriptors that it does not know, the lock's perhaps among them: nobody else may
    /// run. The record in the file stays the run's. (It is free for the moment that this takes.)
    pub(crate) fn keep_lock_of_living_run(&mut self) {
        // One that is dying has closed them too, and then nobody keeps its lock.
        let process = self.run.as_ref().and_then(|run| run.process.as_ref());
        if process.is_none_or(|process| is_ready_within(process, &DYING)) {
            return;
        }
        // Where it is not free the run still has it.
        if let Ok(lock) = HeldLock::try_take(self.remains.limits.lock) {
            self.remains.lock = Some(lock);
            self.wants_new_standby = true;
        }
    }

    /// Takes the lock of a run that does not hold it any more, where it is not held by us.
    pub(crate) fn take_lock(&mut self) {
        if self.remains.lock.is_some() || !self.run_is_over() || self.remains_are_over() {
            return;
        }
        let take = || HeldLock::try_take(self.remains.limits.lock);
        let taken = match take() {
            Err(Errno::WOULDBLOCK) if self.run_is_dying() => return,
            Err(Errno::WOULDBLOCK) => take(),
            taken => taken,
        };
        match taken {
            Ok(lock) => {
                self.remains.lock = Some(lock);
                self.write_record();
                // The standby that there is has no copy of the lock: it would be free for a moment when this one dies.
                self.wants_new_standby = true;
            }
            // A run that is PID 1, and is to be ended by its thread, has its own until the command has been run.
            Err(Errno::WOULDBLOCK) if self.run.as_ref().is_some_and(|run| run.end_request.is_some()) => {}
            // The run may be about to release it, or a child of it be between its fork and its exec.
            Err(Errno::WOULDBLOCK) if since_boot() < self.shared.journal.died_after_boot() + SETTLED => {}
            Err(error) if self.shared.journal.tell_once(OnceLine::NoLock) => {
                let text = match error {
                    Errno::WOULDBLOCK => "another run has the lock already",
                    _ => "the lock cannot be taken again",
                };
                let (error, pid) = (error.raw_os_error(), self.remains.limits.pid.as_raw_nonzero());
                let text =
                    format_args!("{text} (os error {error}): what is left of pid {pid} goes on beside the next run");
                self.output.note(Severity::Warn, text);
            }
            Err(_) => {}
        }
    }

    /// It has been seen to die before it was dead, and may have the lock's descriptor open for a moment yet. That moment is
    /// waited for once the closing line stands.
    fn run_is_dying(&self) -> bool {
        let process = self.run.as_ref().and_then(|run| run.process.as_ref());
        let time = if matches!(self.state, State::Draining(_)) { &AT_ONCE } else { &DYING };
        self.shared.journal.died() != 0 && process.is_some_and(|process| !is_ready_within(process, time))
    }

    /// Of a lock that is kept for what is left of the run. Where the run lives the record stays its own.
    pub(crate) fn write_record(&mut self) {
        if !self.run_is_over() {
            return;
        }
        let remains = &self.remains;
        let Some(lock) = &remains.lock else { return };
        let mut room = [0; 400];
        let mut names = Buffer::new(&mut room);
        remains.family.names(&mut names);
        if names.is_empty() {
            let is_looked_for = remains.next_scan == 0;
            let text =
                if is_looked_for { "processes that are being looked for" } else { "a process that cannot be found" };
            names.extend(text.as_bytes());
        }
        let pid = getpid().as_raw_nonzero().get();
        let record = Record {
            holder: (pid, family::birth(pid).unwrap_or(0)),
            left_of: remains.limits.pid.as_raw_nonzero().get(),
            died: self.shared.journal.died(),
            died_after_boot: self.shared.journal.died_after_boot(),
            names: &names,
            is_closed: self.state.is_closed(),
            common: remains.limits.record,
        };
        lock.write_record(&record);
    }

    pub(crate) fn let_go_of_lock(&mut self) {
        if let Some(lock) = self.remains.lock.take() {
            // The line first: whoever waits for the lock writes to the same log.
            self.output.note(Severity::Info, format_args!("nothing is left of the run; the lock is free"));
            self.output.flush_log();
            lock.release();
        }
    }

    /// The closing line of a run that died stands.
    pub(crate) fn tell_closed(&mut self) {
        let Limits { lock, pid, record, .. } = self.remains.limits;
        if self.remains.lock.is_some() {
            self.write_record();
        } else {
            held_lock::tell_closed(lock, pid.as_raw_nonzero().get(), record);
        }
    }

    /// The run lives and holds the lock: once a minute those are told that are refused in another container, or on another
    /// machine, and cannot see it. A standby does that where there is one: a timer makes a collector's wait, and with it the
    /// way of a line to the console, longer by a microsecond or two.
    pub(crate) fn give_sign_of_life(&mut self) {
        if self.until_sign() == Some(0) {
            let Limits { lock, pid, record, .. } = self.remains.limits;
            held_lock::touch(lock, pid.as_raw_nonzero().get(), record);
            self.remains.next_sign = monotonic() + SIGN_OF_LIFE;
        }
    }

    /// Microseconds, where that is for this helper to do.
    pub(crate) fn until_sign(&self) -> Option<u64> {
        let is_ours = self.standby.is_none() && !self.run_is_over();
        is_ours.then(|| self.remains.next_sign.saturating_sub(monotonic()))
    }
}
