//! Ends a run that takes too long; waits for or ends what is left of one that has died.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::AsFd;
use rustix::process::Signal;

use crate::collector::Collector;
use crate::exit_status::{self, Ended};
use crate::family::{Run, Whom};
use crate::journal::OnceLine;
use crate::moment::Span;
use crate::protocol::Severity;
use crate::readiness;
use crate::remains::DYING;
use crate::stage::{Event, Stage};
use crate::stamp::{monotonic, since_boot};
use crate::state::{End, State};
use crate::stdio::Stdio;
use crate::stream::Stream;
use crate::sys;

/// Between scans. Microseconds, as all times here.
const SCAN: u64 = 1_000_000;
/// How old the record of a lock that is kept may get.
const FRESH: u64 = 30_000_000;
/// SIGKILL ends a process in that time, or it is not to be ended.
const GIVE_UP: u64 = 5_000_000;
/// The most scans in a row: a process that forks without end is not waited for.
const MOST_SCANS: usize = 10;

impl Collector {
    /// What is due. Called whenever the loop has waited.
    pub(crate) fn look_after_remains(&mut self) {
        self.look_for_lost_lock();
        let (now, since) = (monotonic(), self.shared.journal.stage_since());
        self.give_sign_of_life();
        let limits = &self.remains.limits;
        let survivors = limits.survivors;
        match self.shared.journal.stage() {
            Stage::Idle => {
                let is_late = limits.timeout.is_some_and(|timeout| now >= self.remains.started + timeout);
                if is_late && matches!(self.state, State::Running { .. }) {
                    self.shared.journal.note_timeout();
                    self.on_stage(Event::TimedOut);
                }
            }
            Stage::Terminating if now >= since + self.remains.grace(self.shared.journal) => {
                self.on_stage(Event::GraceOver);
            }
            Stage::Killing if now >= since + GIVE_UP && (self.remains.living > 0 || self.has_writers()) => {
                let Self { remains, output, state, .. } = self;
                let (pid, others, left) = (remains.limits.pid.as_raw_nonzero(), remains.others(), remains.describe());
                let text = if matches!(state, State::Running { .. }) {
                    format_args!("SIGKILL did not end the run (pid {pid}); {others}")
                } else {
                    format_args!("SIGKILL did not end all of it: {left}")
                };
                output.note(Severity::Error, text);
                self.on_stage(Event::CannotBeEnded(survivors));
            }
            stage @ (Stage::Terminating | Stage::Killing | Stage::Holding) => {
                self.shared.journal.stir(now);
                self.take_lock();
                self.look_at_family(stage, now);
            }
            Stage::Over => {}
        }
    }

    /// The run ends itself, by SIGTERM first: whatever belongs to it has as long to end.
    pub(crate) fn end_family(&mut self) {
        self.shared.journal.note_lost_lock();
        self.on_stage(Event::LockLost);
    }

    /// A run that is stopped cannot say so, nor one that the kernel's timer has ended as the machine woke up.
    fn look_for_lost_lock(&mut self) {
        let Some(due) = self.remains.loss_due().filter(|_| !self.shared.journal.lock_lost()) else { return };
        let died = self.shared.journal.died_after_boot();
        let seen = if died == 0 { since_boot() } else { died };
        if seen >= due {
            let text = format_args!(
                "the cluster lock is lost: the run or the machine stood still for longer than the connection may be silent; \
                 another run may hold it; the run is ended (on_lock_lost = \"stop\")"
            );
            self.output.note(Severity::Error, text);
            self.end_family();
        }
    }

    /// The run has ended, and its process is dead where `died`: whoever has its streams open is left of it.
    pub(crate) fn look_at_death(&mut self) {
        self.look_for_lost_lock();
        let (stage, survivors) = (self.shared.journal.stage(), self.remains.limits.survivors);
        let is_untold =
            self.state == State::Draining(End::Died) || self.state.is_dead() && self.shared.told().is_none();
        let is_unexpected = is_untold && !self.run_exited();
        if is_unexpected && self.run.as_ref().is_some_and(|run| run.process.is_none()) {
            // The end of the control pipe told of the death, and the process may be closing its other descriptors yet.
            for reader in Stdio::ALL.into_iter().filter_map(|stdio| self.stream(stdio).and_then(Stream::reader)) {
                let _ = poll(&mut [PollFd::new(reader, PollFlags::empty())], Some(&DYING));
            }
        }
        if stage == Stage::Idle && is_unexpected && self.has_writers() {
            self.on_stage(Event::LeftSurvivors(survivors));
        }
        if self.remains_are_over()
            && let Some(lock) = self.remains.lock.take()
        {
            lock.release();
        }
        self.take_lock();
    }

    /// The process ended by `exit` or a return, though without a word to us.
    fn run_exited(&self) -> bool {
        let process = self.run.as_ref().and_then(|run| run.process.as_ref());
        let ended = process.map(|process| exit_status::of(process.as_fd(), self.remains.limits.pid));
        matches!(ended, Some(Ended::Exited(_)))
    }

    /// The run's process is dead, or has released its lock.
    pub(crate) fn run_is_over(&self) -> bool {
        // A standby's own state is that of its fork.
        let state = self.shared.journal.state();
        state.is_dead() || matches!(state, State::Hooking | State::Lingering | State::Done)
    }

    /// Names what is left of a run once its closing line stands.
    pub(crate) fn name_remains(&mut self) {
        let is_dead = self.shared.journal.died() != 0;
        let stage = self.shared.journal.stage();
        let is_named_already = matches!(stage, Stage::Terminating | Stage::Killing) && self.remains.living > 0;
        if is_named_already || !self.has_writers() || !self.shared.journal.tell_once(OnceLine::Names) {
            return;
        }
        self.scan(Whom::FamilyAndStrangers, None);
        self.take_lock();
        // The record first: who has read the line finds the names in it.
        self.write_record();
        let (severity, end) = match (is_dead, stage) {
            (false, _) => (Severity::Info, ""),
            (true, Stage::Holding) if self.remains.lock.is_some() => {
                (Severity::Warn, "; the lock is kept until they have ended")
            }
            (true, _) => (Severity::Warn, ""),
        };
        let Self { remains, output, .. } = self;
        output.note(severity, format_args!("{}{end}", remains.describe()));
        output.flush_log();
    }

    /// Nothing of the run is left that is to be ended or waited for.
    pub(crate) fn remains_are_over(&self) -> bool {
        !self.shared.journal.stage().is_active()
    }

    /// Enters the stage that a dead collector was in.
    pub(crate) fn resume_stage(&mut self) {
        let stage = self.shared.journal.stage();
        if stage.is_active() {
            self.enter_stage(stage);
        }
    }

    fn on_stage(&mut self, event: Event) {
        if let Some(next) = self.shared.journal.stage().next(event) {
            self.shared.journal.enter_stage(next);
            self.enter_stage(next);
        }
    }

    fn enter_stage(&mut self, stage: Stage) {
        let now = monotonic();
        self.shared.journal.stir(now);
        match stage {
            Stage::Terminating if self.shared.journal.stage_since() == 0 => {
                // Before the scan, which takes a while, so that no other run begins meanwhile.
                self.take_lock();
                self.scan(Whom::FamilyAndStrangers, None);
                self.write_record();
                // A run that is dead may have left nobody but strangers, who are named later.
                if matches!(self.state, State::Running { .. }) || self.remains.living > 0 {
                    self.announce(stage);
                    self.signal(Signal::TERM);
                    // A process that is stopped takes no other signal.
                    self.signal(Signal::CONT);
                }
                self.shared.journal.set_stage_since(monotonic());
            }
            Stage::Killing if self.shared.journal.stage_since() == 0 => {
                self.scan(Whom::Family, Some(Signal::KILL));
                self.announce(stage);
                self.signal(Signal::KILL);
                self.shared.journal.set_stage_since(monotonic());
            }
            Stage::Holding => self.take_lock(),
            Stage::Over => self.let_go_of_lock(),
            Stage::Idle | Stage::Terminating | Stage::Killing => {}
        }
    }

    /// One line says what is about to be sent, to whom and why.
    fn announce(&mut self, stage: Stage) {
        let (lock_lost, kill_after) = (self.shared.journal.lock_lost(), Span(self.remains.grace(self.shared.journal)));
        if lock_lost && self.remains.living == 0 {
            // The run has said itself why it ends.
            return;
        }
        let Self { remains, output, state, .. } = self;
        let timeout = Span(remains.limits.timeout.unwrap_or_default());
        let (others, left) = (remains.others(), remains.describe());
        let text = match (stage, matches!(state, State::Running { .. })) {
            (Stage::Killing, true) => format_args!("SIGKILL, for the run goes on {kill_after} after SIGTERM; {others}"),
            (Stage::Killing, false) => format_args!("SIGKILL, {kill_after} after SIGTERM: {left}"),
            (_, true) if lock_lost => {
                format_args!("the run has lost its cluster lock: SIGTERM, and SIGKILL {kill_after} later; {others}")
            }
            (_, true) => format_args!(
                "the run takes longer than its timeout of {timeout}: SIGTERM, and SIGKILL {kill_after} later; {others}"
            ),
            (_, false) => {
                format_args!("{left}: SIGTERM, and SIGKILL {kill_after} later; the lock is kept meanwhile")
            }
        };
        output.note(Severity::Warn, text);
        output.flush_log();
    }

    /// To the run, while it lives, and to its family.
    fn signal(&mut self, signal: Signal) {
        // A run that has lost its cluster lock has sent itself SIGTERM, or is about to: to many programs a second one means more
        // than the first.
        let has_had_it = signal != Signal::KILL && self.shared.journal.lock_lost();
        if let Some(run) = self.run.as_ref().filter(|_| matches!(self.state, State::Running { .. }) && !has_had_it) {
            sys::signal_run(run.process.as_ref(), self.remains.limits.pid, signal);
            if let Some(request) = run.end_request.as_ref().filter(|_| signal == Signal::KILL) {
                let _ = rustix::io::write(request, b"E");
            }
        }
        self.remains.family.signal(signal);
    }

    /// Looks for processes until there is no new one.
    fn scan(&mut self, whom: Whom, without_room: Option<Signal>) {
        let Self { remains, run, state, .. } = self;
        let pid = remains.limits.pid.as_raw_nonzero().get();
        let process = run.as_ref().filter(|_| !state.is_dead()).and_then(|run| run.process.as_ref());
        let run = Run {
            process: process.map(|process| (pid, process.as_fd())),
            began: remains.began,
            streams: remains.limits.streams,
            // It may have a descriptor of a stream of its own, and is not its own remains.
            helpers: &[pid],
        };
        let start = monotonic();
        for _ in 0..MOST_SCANS {
            remains.found = remains.family.scan(&run, whom, without_room);
            // Or the standby would take us for stopped.
            self.shared.journal.stir(monotonic());
            let is_done = remains.found.is_ok_and(|found| found.new == 0) || remains.found.is_err();
            if is_done || monotonic() > start + SCAN {
                break;
            }
        }
        remains.living = remains.family.living();
        remains.next_scan = monotonic() + SCAN;
    }

    fn look_at_family(&mut self, stage: Stage, now: u64) {
        let is_over = self.run_is_over();
        if stage == Stage::Holding {
            if self.all_streams_ended() && !matches!(self.state, State::Draining(_) | State::Closing(_)) {
                return self.on_stage(Event::NobodyLeft);
            }
            // Now and then all the same: others may have joined, and a loser that cannot see us looks whether the record is fresh.
            if self.remains.family.living() != self.remains.living || now >= self.remains.next_scan + FRESH {
                self.scan(Whom::Family, None);
                self.write_record();
            }
            return;
        }
        let has_gone = self.remains.family.living() == 0;
        if is_over && has_gone || now >= self.remains.next_scan || stage == Stage::Killing {
            let signal = (stage == Stage::Killing).then_some(Signal::KILL);
            let before = self.remains.living;
            self.scan(Whom::Family, signal);
            if let Some(signal) = signal {
                self.signal(signal);
            }
            if self.remains.living != before {
                self.write_record();
            }
        }
        let found = self.remains.found.unwrap_or_default();
        let is_unseen = found.unreadable > 0 || self.remains.found.is_err();
        let is_nobody = self.remains.living == 0 && found.new == 0 && (!is_unseen || !self.has_writers());
        // The closing line comes first: the next run writes to the same log.
        let line_stands = matches!(self.state, State::Closed(_)) || self.run_is_over() && !self.state.is_dead();
        if line_stands && is_over && is_nobody {
            self.on_stage(Event::NobodyLeft);
        }
    }

    /// Somebody has a stream open for writing.
    fn has_writers(&self) -> bool {
        Stdio::ALL
            .into_iter()
            .filter_map(|stdio| self.stream(stdio).and_then(Stream::reader))
            .any(readiness::has_writers)
    }
}
