//! A helper process: everything that it owns, and its life from the fork on.

use rustix::event::Timespec;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::process::Pid;

use crate::blocking::HeldEnds;
use crate::family::FamilyMemory;
use crate::journal::Shared;
use crate::output::Output;
use crate::process::{self, ExitOnDrop};
use crate::protocol::{Decoder, Nonce, Reply};
use crate::readiness::is_ready_within;
use crate::remains::{Limits, Remains};
use crate::run_stat::RunStat;
use crate::stamp::monotonic;
use crate::state::State;
use crate::stdio::{PerStdio, Stdio};
use crate::stream::Stream;
use crate::sys;
use crate::verdict::Verdict;

/// What leads to the run.
pub struct RunLink {
    /// The closing line comes through here; its end of file says that the run has written its last.
    pub control: OwnedFd,
    /// The collector's replies.
    pub replies: OwnedFd,
    /// Tells of the run's death, where the kernel can.
    pub process: Option<OwnedFd>,
    /// A run that is PID 1 ends on a byte of this: no signal would end it.
    pub end_request: Option<OwnedFd>,
    /// What /proc tells of it, where its terminal or its namespace matters.
    pub stat: Option<RunStat>,
    /// Once it has died the helpers may be killed at any moment: it is the first process of a namespace, or that one's
    /// child, which ends with it (tini, `docker run --init`).
    pub takes_helpers_along: bool,
}

impl RunLink {
    /// Its pidfd tells of a death when the kernel has killed everybody else of a namespace already.
    pub(crate) fn is_dying(&self) -> bool {
        self.takes_helpers_along && self.stat.as_ref().is_some_and(RunStat::is_dying)
    }

    /// Program and children have heard of the change already, and asked too early perhaps: they are told again.
    pub(crate) fn tell_of_resize(&self) {
        if let Some(process) = &self.process {
            sys::tell_of_resize(process);
        }
        // A terminal tells the group in its foreground.
        if let Some(group) = self.stat.as_ref().and_then(RunStat::foreground) {
            sys::tell_group_of_resize(group);
        }
    }
}

/// What a collector is made of.
pub struct Parts {
    /// What is read.
    pub streams: PerStdio<Option<Stream>>,
    /// The streams' other ends.
    pub held_ends: HeldEnds,
    /// What is written.
    pub output: Output,
    /// By which records are told from printed text.
    pub nonce: &'static Nonce,
    /// Memory that all helpers share.
    pub shared: Shared,
    /// What leads to the run.
    pub run: RunLink,
    /// What ends a run that takes too long, and what becomes of its family.
    pub limits: Limits,
    /// Memory for that.
    pub family: FamilyMemory<'static>,
    /// What tells how the run ended.
    pub verdict: Verdict,
}

/// A run that takes longer has a standby: to fork one takes as long.
const SHORT_RUN: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000 };

/// What a helper is.
pub(crate) enum Role {
    Collector,
    /// Of the collector with that pid.
    Standby {
        pipe: OwnedFd,
        collector: Pid,
        /// As the journal counts standbys.
        number: u64,
    },
}

/// Everything a helper process owns, made before the fork.
pub struct Collector {
    pub(crate) streams: PerStdio<Option<Stream>>,
    pub(crate) held_ends: HeldEnds,
    pub(crate) output: Output,
    pub(crate) decoder: Decoder<'static>,
    pub(crate) state: State,
    pub(crate) shared: Shared,
    /// Until the run is let go.
    pub(crate) run: Option<RunLink>,
    pub(crate) remains: Remains,
    /// There is none yet, or the one that there is has no copy of the lock.
    pub(crate) wants_new_standby: bool,
    pub(crate) started: u64,
    pub(crate) verdict: Verdict,
    /// The standby lives as long as somebody reads the other end.
    pub(crate) standby: Option<OwnedFd>,
}

impl Collector {
    /// Of a run that is about to start.
    pub fn new(parts: Parts) -> Self {
        let (state, started) = (State::Running { control_is_lost: false }, monotonic());
        let Parts { streams, held_ends, output, nonce, shared, run, limits, family, verdict } = parts;
        let (run, remains) = (Some(run), Remains::new(limits, family, started));
        let decoder = Decoder::new(nonce);
        let (wants_new_standby, standby) = (false, None);
        Self {
            streams,
            held_ends,
            output,
            decoder,
            state,
            shared,
            run,
            remains,
            wants_new_standby,
            started,
            verdict,
            standby,
        }
    }

    /// The first helper's life: it keeps nothing of the run's, answers, and collects.
    pub(crate) fn start(&mut self, kept: &sys::Kept, stack: usize) -> ! {
        let _unwinding = ExitOnDrop;
        self.close_foreign_descriptors();
        process::leave_directory();
        kept.let_go_of_the_rest(stack);
        self.reply(Reply::Ready);
        process::raise_limits();
        // A run that is over by then needs no standby, unless its end takes time.
        self.wants_new_standby = self.run.as_ref().is_some_and(|run| is_ready_within(&run.control, &SHORT_RUN));
        let first = if self.wants_new_standby { None } else { self.fork_standby() };
        let mut role = first.unwrap_or(Role::Collector);
        loop {
            role = match role {
                Role::Collector => self.collect(),
                Role::Standby { pipe, collector, number } => {
                    self.stand_by(&pipe, collector, number);
                    drop(pipe);
                    self.take_over(collector).unwrap_or(Role::Collector)
                }
            }
        }
    }

    fn close_foreign_descriptors(&self) {
        let mut keep = [-1; 32];
        let run = self.run.as_ref();
        let own = [
            self.stream(Stdio::Out).and_then(Stream::reader),
            self.stream(Stdio::Err).and_then(Stream::reader),
            run.map(|run| &run.control),
            run.map(|run| &run.replies),
            run.and_then(|run| run.process.as_ref()),
            run.and_then(|run| run.end_request.as_ref()),
            run.and_then(|run| run.stat.as_ref()).map(RunStat::descriptor),
            self.stream(Stdio::Out).and_then(Stream::real_terminal),
            self.stream(Stdio::Err).and_then(Stream::real_terminal),
        ];
        let own = own.into_iter().flatten().chain(self.held_ends.copies());
        let all = own.chain(self.output.descriptors()).chain(self.verdict.descriptors());
        for (slot, descriptor) in keep.iter_mut().zip(all) {
            *slot = descriptor.as_raw_fd();
        }
        process::close_all_but(&keep);
    }

    pub(crate) fn stream(&self, stdio: Stdio) -> Option<&Stream> {
        self.streams.get(stdio).as_ref()
    }

    pub(crate) fn all_streams_ended(&self) -> bool {
        self.streams.iter().flatten().all(|stream| stream.reader().is_none())
    }

    /// In a standby that takes over: forgets what the dead collector may have written already.
    pub(crate) fn forget_the_unwritten(&mut self) {
        self.streams.iter_mut().flatten().for_each(Stream::forget);
        self.output.forget_the_unwritten();
        self.remains.recall();
        self.close_shown_consoles();
    }

    /// In a standby: its copies of consoles to which nothing more goes.
    pub(crate) fn close_shown_consoles(&mut self) {
        for console in Stdio::ALL.into_iter().filter(|console| self.shared.journal.shown(*console)) {
            self.output.close_console(console);
            let shows = |stream: &&mut Stream| self.output.console_of(stream.console) == console;
            self.streams.iter_mut().flatten().filter(shows).for_each(Stream::let_go_of_terminal);
        }
    }
}
