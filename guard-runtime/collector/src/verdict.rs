//! The verdict on a run: what is known of its end, and who is told of it.

use core::ffi::c_char;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rustix::fd::{AsFd, OwnedFd};
use rustix::process::Pid;

use crate::buffer::Buffer;
use crate::exit_status::{self, Ended};
use crate::hook::{self, Hook, Running};
use crate::lines::{LineShaper, MAX_LINE};
use crate::moment::{Moment, Seconds};
use crate::output::Output;
use crate::protocol::{Severity, Told};
use crate::report::{Carried, Ending, Report};
use crate::stamp::{monotonic, now};
use crate::status::RunState;
use crate::usage::Usage;

/// What is known of a run's end, once it is known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settled {
    pub(crate) state: RunState,
    pub(crate) exit: Ended,
    ended: Moment,
    pub(crate) elapsed: Seconds,
    usage: Option<Usage>,
    out_of_memory: bool,
    /// The run's own words are the closing line's.
    pub(crate) was_told: bool,
}

impl Settled {
    /// The run's own reason, or how the process ended.
    fn detail<'a>(&self, reason: &'a [u8], room: &'a mut [u8; 128]) -> &'a [u8] {
        if self.was_told {
            return reason;
        }
        let mut words = Buffer::new(room);
        let _ = write!(words, "{self}");
        let length = words.len();
        room.get(..length).unwrap_or_default()
    }
}

impl Default for Settled {
    fn default() -> Self {
        let (state, exit, zero) = (RunState::Running, Ended::Unknown, Moment(0));
        Self { state, exit, ended: zero, elapsed: Seconds(0), usage: None, out_of_memory: false, was_told: false }
    }
}

/// How the process ended, for the closing line of a run that did not say so itself.
impl fmt::Display for Settled {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = if self.out_of_memory { "; the kernel was out of memory (oom_kill)" } else { "" };
        write!(formatter, "{}{memory}", self.exit)
    }
}

/// What the helpers of a run share of this.
#[derive(Debug, Default)]
pub struct VerdictMemory {
    /// The one behind it was written.
    has_started: AtomicBool,
    carried: Carried,
    /// One more than what [`exit_status::out_of_memory_kills`] told; 0 where it did not.
    kills_at_start: AtomicU64,
    /// The one behind it was written.
    has_settled: AtomicBool,
    settled: Settled,
    hook_was_started: AtomicBool,
}

/// A command to be run at the end, and the memory for it.
pub struct OnEnd {
    /// The command.
    pub hook: Hook<'static>,
    /// Room for [`Hook::pointers`].
    pub pointers: &'static mut [*const c_char],
    /// `hook::VERDICT_ROOM` bytes.
    pub variables: &'static mut [u8],
    shaper: LineShaper<'static>,
    running: Option<(Running, u64)>,
}

impl OnEnd {
    /// Memory that it is lent, beside the command's own.
    pub const MEMORY: usize = hook::VERDICT_ROOM + MAX_LINE + 128;

    /// `count` is what [`Hook::pointers`] says; `pointers` has room for that many.
    pub fn new(
        hook: Hook<'static>,
        pointers: &'static mut [*const c_char],
        lend: &mut impl FnMut(usize) -> &'static mut [u8],
    ) -> Self {
        let shaper = LineShaper::new(*b"HOOK", lend(MAX_LINE));
        Self { hook, pointers, variables: lend(hook::VERDICT_ROOM), shaper, running: None }
    }
}

/// What a helper needs to tell how its run ended.
pub struct Verdict {
    pid: Pid,
    memory: &'static mut VerdictMemory,
    report: Report<'static>,
    scratch: &'static mut [u8],
    on_end: Option<OnEnd>,
    /// The run before, of which the log says that it ended without a trace.
    told_lost: Option<i32>,
}

impl Verdict {
    /// On the run of process `pid`. `scratch` has [`crate::report::ROOM`] bytes where there is a file to write.
    /// `told_lost` is the run before, if the log says already that it ended without a trace.
    pub fn new(
        pid: Pid,
        memory: &'static mut VerdictMemory,
        report: Report<'static>,
        scratch: &'static mut [u8],
        on_end: Option<OnEnd>,
        told_lost: Option<i32>,
    ) -> Self {
        Self { pid, memory, report, scratch, on_end, told_lost }
    }

    /// Descriptors that were made before the fork.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = &OwnedFd> {
        self.report.descriptors()
    }

    /// In the run.
    pub(crate) fn count_kills(&self) {
        let count = exit_status::out_of_memory_kills().map_or(0, |count| count + 1);
        self.memory.kills_at_start.store(count, Ordering::Release);
    }

    fn kernel_was_out_of_memory(&self) -> bool {
        let at_start = self.memory.kills_at_start.load(Ordering::Acquire);
        at_start > 0 && exit_status::out_of_memory_kills().is_some_and(|count| count >= at_start)
    }

    /// In the helper that collects while the run goes on: says so in the files, unless that was done.
    pub(crate) fn start(&mut self, output: &mut Output) {
        if self.memory.has_started.load(Ordering::Acquire) {
            return self.report.take_over();
        }
        if !self.report.is_empty() {
            let (carried, lost) = self.report.start(self.scratch, &mut |trouble| {
                output.note(Severity::Warn, format_args!("{trouble}"));
            });
            self.memory.carried = carried;
            // The run has said so already, if the lock's record told it; that may lie where nothing survives a restart.
            if let Some(lost) = lost.filter(|lost| Some(lost.pid) != self.told_lost) {
                let text = format_args!("run of pid {}, started {}, ended without a trace", lost.pid, lost.started);
                output.note(Severity::Error, text);
            }
            self.report.prepare();
        }
        self.memory.has_started.store(true, Ordering::Release);
    }

    /// What is known of the end: by the run's own words, if it told any, and by what the kernel says of a dead process.
    /// The same each time, once it was asked.
    pub(crate) fn settle(
        &mut self,
        told: Option<&Told>,
        dead: Option<&OwnedFd>,
        elapsed: u64,
        timed_out: bool,
    ) -> Settled {
        if self.memory.has_settled.load(Ordering::Acquire) {
            return self.memory.settled;
        }
        let exit = || dead.map_or(Ended::Unknown, |process| exit_status::of(process.as_fd(), self.pid));
        let ended = Moment(now());
        let died = |exit: Ended| {
            let state = match exit {
                Ended::Exited(0) => RunState::Succeeded,
                Ended::Exited(_) => RunState::Exited,
                Ended::Signaled { .. } | Ended::Unknown => RunState::Killed,
            };
            let was_killed = matches!(exit, Ended::Signaled { signal: libc::SIGKILL, .. });
            let out_of_memory = was_killed && self.kernel_was_out_of_memory();
            Settled { state, exit, ended, elapsed: Seconds(elapsed), usage: None, out_of_memory, was_told: false }
        };
        let settled = match told {
            None => died(exit()),
            Some(told) => {
                let is_leaving =
                    matches!(told.state, RunState::Succeeded | RunState::Exited) && told.exit_code.is_some();
                match dead.filter(|_| is_leaving).map(|_| exit()) {
                    // It was killed on its way out.
                    Some(exit @ Ended::Signaled { .. }) => died(exit),
                    _ => Settled {
                        state: told.state,
                        exit: told.exit_code.map_or(Ended::Unknown, Ended::Exited),
                        ended,
                        elapsed: told.elapsed,
                        usage: told.usage,
                        out_of_memory: false,
                        was_told: true,
                    },
                }
            }
        };
        let state = if timed_out { RunState::TimedOut } else { settled.state };
        let settled = Settled { state, ..settled };
        self.memory.settled = settled;
        self.memory.has_settled.store(true, Ordering::Release);
        settled
    }

    /// Writes the files. `reason` is the run's own.
    pub(crate) fn tell(&mut self, reason: &[u8], output: &mut Output) {
        let settled = self.memory.settled;
        let mut room = [0; 128];
        let detail = settled.detail(reason, &mut room);
        let Settled { state, exit, ended, elapsed, usage, .. } = settled;
        let ending = Ending { state, detail, exit, ended, elapsed, usage };
        self.report.end(&self.memory.carried, &ending, self.scratch, &mut |trouble| {
            output.note(Severity::Warn, format_args!("{trouble}"));
        });
        output.flush_log();
    }

    /// It ended in any way but well.
    pub(crate) fn has_failed(&self) -> bool {
        self.memory.settled.state != RunState::Succeeded
    }

    /// There are files to be written.
    pub(crate) fn has_files(&self) -> bool {
        !self.report.is_empty()
    }

    /// A command is to be run once the run is over.
    pub(crate) fn has_hook(&self) -> bool {
        self.on_end.is_some()
    }

    /// Starts the command, where there is one. Says whether it runs.
    pub(crate) fn start_hook(&mut self, reason: &[u8], output: &mut Output) -> bool {
        let Some(on_end) = &mut self.on_end else { return false };
        if self.memory.hook_was_started.swap(true, Ordering::AcqRel) {
            let text = "on_end: the helper that had started the command was killed; what became of it is not known";
            output.note(Severity::Warn, format_args!("{text}"));
            return false;
        }
        let (settled, identity) = (self.memory.settled, self.report.identity());
        let Settled { state, exit, ended, elapsed, .. } = settled;
        let mut room = [0; 128];
        let verdict = hook::Verdict {
            state: state.word(),
            detail: settled.detail(reason, &mut room),
            exit_code: state.hook_code(exit),
            signal: if let Ended::Signaled { signal, .. } = exit { Some(signal) } else { None },
            started: identity.started,
            elapsed: Some(elapsed),
            pid: identity.pid,
            lock: identity.lock,
            log: identity.log,
            last_success: self.memory.carried.last_success_after(state, identity.started, ended),
        };
        let mut variables = Buffer::new(on_end.variables);
        let _ = verdict.write(&mut variables);
        match Running::start(&on_end.hook, &variables, on_end.pointers) {
            Ok(running) => {
                on_end.running = Some((running, monotonic()));
                true
            }
            Err(error) => {
                let error = error.raw_os_error();
                output.note(Severity::Warn, format_args!("on_end: the command cannot be started (os error {error})"));
                false
            }
        }
    }

    /// To be polled for input.
    pub(crate) fn hook_descriptors(&self) -> [Option<&OwnedFd>; 2] {
        let running = self.on_end.as_ref().and_then(|on_end| on_end.running.as_ref());
        running.map_or([None, None], |(running, _)| running.descriptors())
    }

    /// Nothing of the command is left.
    pub(crate) fn hook_is_over(&self) -> bool {
        self.on_end.as_ref().is_none_or(|on_end| on_end.running.is_none())
    }

    /// Writes what the command has printed into the log, and ends it when its time is over. Says whether the shell has
    /// ended: what that left in the background has what is left of the time, and nobody waits for it.
    pub(crate) fn look_at_hook(&mut self, output: &mut Output) -> bool {
        let Some(on_end) = &mut self.on_end else { return true };
        let Some((running, started)) = &mut on_end.running else { return true };
        let was_over = running.ended().is_some();
        let is_late = monotonic() > *started + hook::TIMEOUT;
        let ended = if is_late { Some(running.kill()) } else { running.reap() };
        // A few at a time: the streams are read meanwhile.
        for _ in 0..16 {
            let count = running.read(self.scratch);
            if count == 0 {
                break;
            }
            output.printed(&mut on_end.shaper, self.scratch.get(..count).unwrap_or_default(), now());
        }
        let Some(ended) = ended else { return false };
        if !was_over && ended != Ended::Exited(0) {
            let late = if is_late { "took longer than 30 s: " } else { "" };
            output.finish_line(&mut on_end.shaper, now());
            output.note(Severity::Warn, format_args!("on_end: the command {late}{ended}"));
        }
        if is_late || running.is_over() {
            output.finish_line(&mut on_end.shaper, now());
            on_end.running = None;
        }
        true
    }

    /// Nobody waits any more.
    pub(crate) fn release(&mut self) {
        self.report.release();
    }
}
