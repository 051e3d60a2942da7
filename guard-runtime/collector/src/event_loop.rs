//! The collector's loop: wait for something to happen, tell the state of it, do what the new state asks for.

use core::mem;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;

use crate::collector::{Collector, Role, RunLink};
use crate::protocol::Reply;
use crate::readiness::{self, AT_ONCE};
use crate::stamp::{self, monotonic};
use crate::state::{Action, Event, State};
use crate::stdio::{PerStdio, Stdio};
use crate::stream::Stream;
use crate::sys::{self, exit};
use crate::window_size::follow_resize;

/// Between reads while data keeps coming: batches instead of a wake-up a line.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000 };
/// Between looks at what nothing wakes us for: a terminal's new size, a console that does not move any more.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// After a stop (SIGSTOP, a frozen control group) poll(2) waits for what was left of its time, whatever the clock says by then:
/// so what is due is so much late at most. Microseconds.
const LOOK_AT_CLOCK: u64 = 5_000_000;
/// Between looks at whether somebody has made a stream non-blocking, while nothing is read.
const CLEAR_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

/// What a wait has ended with.
struct Ready {
    control: PollFlags,
    run_died: bool,
    standby_died: bool,
    streams: PerStdio<bool>,
    keys: PerStdio<PollFlags>,
}

impl Collector {
    /// Collects until a standby is forked, in which this returns.
    pub(crate) fn collect(&mut self) -> Role {
        sys::set_name(c"guard-collector");
        // A standby that took over enters the state again that the dead collector was in.
        self.enter(self.shared.journal.state());
        self.resume_stage();
        if matches!(self.state, State::Running { .. }) {
            self.verdict.start(&mut self.output);
        } else if self.state.is_judged() {
            self.output.judge(self.verdict.has_failed());
        }
        // A standby that there is was forked with what there was.
        self.output.take_new_file();
        let mut has_waited = self.standby.is_some();
        loop {
            if !self.output.owes_the_run() {
                self.on(Event::ConsoleCaughtUp);
            }
            if self.state == State::Lingering {
                // Of the console as it is now: it may have caught up a moment ago, and then nothing would end the wait.
                if self.all_streams_ended()
                    && self.console_is_done()
                    && self.remains_are_over()
                    && self.verdict.hook_is_over()
                {
                    self.on(Event::NothingLeft);
                }
                self.close_idle_consoles();
                // It may stay for weeks, and must not keep a log that was rotated away or removed.
                self.output.release_log();
            }
            // The first one not before a wait: a run that was over at once may be done with by then.
            if has_waited
                && mem::take(&mut self.wants_new_standby)
                && let Some(role) = self.fork_standby()
            {
                return role;
            }
            let ready = self.wait();
            has_waited = true;
            self.follow_terminals(&ready);
            if ready.standby_died
                && let Some(role) = self.replace_standby()
            {
                return role;
            }
            self.look_at_run(&ready);
            let (mut read, mut filled) = (false, false);
            let is_draining = matches!(self.state, State::Draining(_));
            let are_two = self.streams.iter().all(Option::is_some);
            for stdio in Stdio::ALL {
                let Self { streams, held_ends, output, decoder, run, .. } = self;
                if let Some(stream) = streams.get_mut(stdio)
                    // A terminal that has nothing more says so only when it is read.
                    && (*ready.streams.get(stdio) || is_draining && stream.terminal().is_some())
                {
                    read = true;
                    held_ends.make_blocking(are_two.then_some(stdio));
                    filled |= stream.read(decoder, output, run.as_ref().and_then(|run| run.stat.as_ref()));
                }
            }
            if self.verdict.look_at_hook(&mut self.output) {
                self.on(Event::HookEnded);
            }
            if self.output.ends_family() {
                self.end_family();
            }
            let is_drained = self.streams.iter().flatten().all(Stream::is_drained);
            if !is_draining || !is_drained {
                self.output.flush();
            }
            self.tell_standby_of_rotation();
            if self.output.take_new_file()
                && let Some(role) = self.fork_standby()
            {
                return role;
            }
            if is_drained {
                // The last lines and the closing line go to the log at once.
                self.on(Event::Drained);
            }
            // Behind the reading: the end of a stream may be the end of what was left.
            self.look_after_remains();
            if read && !filled && !is_draining && !self.is_in_a_hurry() {
                self.pause();
            }
        }
    }

    fn on(&mut self, event: Event) {
        if let Some(next) = self.state.next(event) {
            self.enter(next);
        }
    }

    fn enter(&mut self, state: State) {
        self.state = state;
        self.shared.journal.enter(state);
        for action in state.on_entry() {
            match action {
                Action::MeasureStreams => {
                    // The end of the streams is to be seen: these would pass for somebody who is left.
                    self.held_ends.release();
                    self.streams.iter_mut().flatten().for_each(Stream::measure);
                }
                Action::WriteClosingLine => {
                    self.write_closing_line();
                    self.on(Event::LineStands);
                }
                Action::TellVerdict => {
                    if self.state.is_dead() {
                        self.tell_closed();
                        if self.is_in_a_hurry() {
                            self.look_at_death();
                        }
                    }
                    self.verdict.tell(self.shared.reason(), &mut self.output);
                }
                Action::AskToUnlock => {
                    if self.verdict.has_hook() {
                        self.output.flush();
                        self.reply(Reply::Stands);
                    } else {
                        self.on(Event::NoHook);
                    }
                }
                Action::StartHook => {
                    self.remains.restore_limits();
                    if !self.verdict.start_hook(self.shared.reason(), &mut self.output) {
                        self.on(Event::HookEnded);
                    }
                }
                Action::OweConsole => {
                    self.name_remains();
                    self.output.judge(self.verdict.has_failed());
                    self.output.flush();
                    self.output.owe_what_waits();
                }
                Action::LetGoOfRun => self.let_go_of_run(),
                Action::Quit => {
                    self.end_standby();
                    exit(0);
                }
            }
        }
    }

    /// Waits for anything to happen.
    fn wait(&self) -> Ready {
        let (input, nothing) = (PollFlags::IN, PollFlags::empty());
        let watches = self.state.watches(self.output.is_backed_up());
        let run = self.run.as_ref();
        let stream = |stdio| self.stream(stdio).and_then(Stream::reader).filter(|_| watches.streams);
        let consoles = self.output.stalled();
        let [hook_output, hook_end] = self.verdict.hook_descriptors();
        let stat = run.and_then(|run| run.stat.as_ref());
        let keys = |stdio| self.stream(stdio).and_then(|stream| stream.wanted_keys(stat));
        // The run first: what it wrote before it ended is then seen when its streams are looked at, later in this call.
        let watched = [
            (run.map(|run| &run.control).filter(|_| watches.control), input),
            (run.and_then(|run| run.process.as_ref()).filter(|_| watches.death), input),
            (self.standby.as_ref(), nothing),
            (stream(Stdio::Out), input),
            (stream(Stdio::Err), input),
            (consoles.out, PollFlags::OUT),
            (consoles.err, PollFlags::OUT),
            (hook_output, input),
            (hook_end, input),
            (keys(Stdio::Out), input),
            (keys(Stdio::Err), input),
        ];
        let mut polled = watched.map(|(descriptor, flags)| match descriptor {
            Some(descriptor) => PollFd::new(descriptor, flags),
            None => PollFd::from_borrowed_fd(nobody(), nothing),
        });
        let asks_for_size =
            self.state.has_run() && self.streams.iter().flatten().any(|stream| stream.terminal().is_some());
        let timeout = match self.state {
            State::Draining(_) if watches.streams => Some(AT_ONCE),
            _ if !watches.streams && self.held_ends.has_copies() => Some(CLEAR_AGAIN),
            State::Closed(_) => Some(LOOK_AGAIN),
            _ if asks_for_size || !watches.streams || !self.verdict.hook_is_over() => Some(LOOK_AGAIN),
            _ => None,
        };
        if !watches.streams {
            self.held_ends.make_blocking(None);
        }
        let now = monotonic();
        let due = self.remains.next_look(self.shared.journal, self.state);
        let until_due = due.map(|due| due.saturating_sub(now).min(LOOK_AT_CLOCK));
        let until_either = until_due.into_iter().chain(self.until_sign()).min().map(stamp::timespec);
        let timeout = timeout.into_iter().chain(until_either).min_by_key(|time| (time.tv_sec, time.tv_nsec));
        // Where it is interrupted nothing is ready.
        let _ = poll(&mut polled, timeout.as_ref());
        let [control, process, standby, out, err, _, _, _, _, keys_out, keys_err] =
            polled.map(|polled| polled.revents());
        // The control pipe is not watched while the console stalls, but the run may be dead.
        let is_dead = |run: &RunLink| {
            watches.death && !watches.control && run.process.is_none() && readiness::has_hung_up(&run.control)
        };
        Ready {
            control,
            run_died: !process.is_empty() || run.is_some_and(is_dead),
            standby_died: !standby.is_empty(),
            streams: PerStdio { out: !out.is_empty(), err: !err.is_empty() },
            keys: PerStdio { out: keys_out, err: keys_err },
        }
    }

    fn look_at_run(&mut self, ready: &Ready) {
        if ready.run_died {
            self.on_death();
        } else if self.state == State::Unlocking && !ready.control.is_empty() {
            self.on(Event::Unlocked);
        } else if ready.control.contains(PollFlags::IN) {
            self.on(Event::RunTold);
        } else if !ready.control.is_empty() {
            // Closed without a word. Where nothing else tells of a death, that is one.
            let tells = self.run.as_ref().is_some_and(|run| run.process.is_some() && !run.is_dying());
            if tells {
                self.on(Event::ControlLost);
                self.remains.forget_loss();
                self.keep_lock_of_living_run();
            } else {
                self.on_death();
            }
        }
    }

    fn on_death(&mut self) {
        self.shared.journal.note_death(stamp::now());
        self.on(Event::RunDied);
        if !self.is_in_a_hurry() {
            self.look_at_death();
        }
    }

    /// There may be no time for anything but the last lines and the closing line.
    fn is_in_a_hurry(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.takes_helpers_along)
    }

    /// Lets data gather, unless the run ends meanwhile.
    fn pause(&self) {
        match &self.run {
            Some(run) if self.state.watches(false).control => {
                let _ = poll(&mut [PollFd::new(&run.control, PollFlags::IN)], Some(&PAUSE));
            }
            _ => sys::sleep(&PAUSE),
        }
    }

    fn follow_terminals(&mut self, ready: &Ready) {
        let Self { streams, output, run, .. } = self;
        let Some(run) = run else { return };
        for stdio in Stdio::ALL {
            let Some(stream) = streams.get_mut(stdio) else { continue };
            stream.follow(*ready.keys.get(stdio), run.stat.as_ref());
            if let (Some(ours), Some(real)) = (stream.terminal(), output.console(stream.console))
                && follow_resize(real, ours)
            {
                run.tell_of_resize();
            }
        }
    }

    /// Log and console have it all, or nobody is left to wait for the console: answers.
    fn let_go_of_run(&mut self) {
        let Self { streams, decoder, output, .. } = self;
        for stream in streams.iter_mut().flatten().filter(|stream| stream.has_hung_up()) {
            // There may be a last word all the same: it came between the kernel's looks for input and for writers.
            stream.read(decoder, output, None);
        }
        self.output.flush();
        self.output.tell_given_up();
        self.output.flush_log();
        // From here on the run does not hold its lock, or will not for long.
        self.shared.journal.note_death(stamp::now());
        // To free the files that the verdict's replaced takes the disk some milliseconds: nobody is to wait for our end then.
        let is_over = self.remains_are_over() && self.verdict.hook_is_over() && !self.verdict.has_files();
        if self.all_streams_ended() && is_over && self.console_is_done() {
            // Its end overlaps with ours.
            self.end_standby();
            self.reply(Reply::Done);
        } else {
            self.reply(Reply::Lingers);
        }
        self.streams.iter_mut().flatten().for_each(Stream::let_go_of_terminal);
        self.run = None;
        self.verdict.release();
    }

    pub(crate) fn reply(&self, reply: Reply) {
        if let Some(run) = &self.run {
            let _ = rustix::io::write(&run.replies, &[reply as u8]);
        }
    }

    /// Whoever reads what the run printed is to see its end, whatever a child of the run does with the other stream. (Records
    /// that a forked child logs after that are in the log alone.)
    fn close_idle_consoles(&mut self) {
        for console in Stdio::ALL.into_iter().filter(|console| !self.shared.journal.shown(*console)) {
            let feeds =
                |stream: &Stream| stream.reader().is_some() && self.output.console_of(stream.console) == console;
            // The standby has copies of a closed one.
            let is_closed = self.output.console(console).is_none();
            if is_closed || self.output.is_idle(console) && !self.streams.iter().flatten().any(feeds) {
                self.output.close_console(console);
                self.shared.journal.note_shown(console);
                self.tell_standby_of_shown();
            }
        }
    }

    fn console_is_done(&self) -> bool {
        self.output.stalled().iter().all(Option::is_none)
    }
}

/// Placeholder: poll(2) passes over a negative number.
#[allow(unsafe_code)]
fn nobody() -> BorrowedFd<'static> {
    // SAFETY: nothing but poll(2) is called with it, and it is not -1.
    unsafe { BorrowedFd::borrow_raw(-2) }
}
