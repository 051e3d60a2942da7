//! The states of a run as its collector sees them, and what leads from one to the next. Pure.
//!
//! [`State::next`] is the only way from one state to another, and [`State::on_entry`] says what is done in the new one. Each
//! state is written to the journal before that is done: a standby that takes over enters the same state again, so
//! everything done on entry can be done twice.

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// The function runs.
    Running {
        /// The run's code has closed descriptors that it does not know, the control pipe among them: only its death will
        /// tell of the end.
        control_is_lost: bool,
    },
    /// The run has written its last byte. What its streams hold is read to the end.
    Draining(End),
    /// All it printed stands in the log. The closing line is written.
    Closing(End),
    /// The closing line stands. The console is waited for.
    Closed(End),
    /// A command is to be run, and the run still has the lock.
    Unlocking,
    /// The command runs.
    Hooking,
    /// The run was let go. A child of it still holds a stream open, or the console is behind.
    Lingering,
    /// Nothing is left to do.
    Done,
}

/// How a run's end was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It said so, and waits for the answer.
    Told,
    /// It is dead: nobody waits for the console.
    Died,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The closing line is in the control pipe.
    RunTold,
    /// The control pipe was closed without a word, by a run that lives.
    ControlLost,
    /// The run is dead.
    RunDied,
    /// Nothing that the run wrote is still unread.
    Drained,
    /// The closing line stands in the log.
    LineStands,
    /// The console has taken all that was printed before the run's end.
    ConsoleCaughtUp,
    /// There is no command to be run.
    NoHook,
    /// The run has released the lock.
    Unlocked,
    /// The command has ended.
    HookEnded,
    /// Every stream has ended, the console has everything, and nothing of the command is left.
    NothingLeft,
}

/// What is done on entry of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Finds out how much the streams hold: a child of the run that prints without end cannot put the end off.
    MeasureStreams,
    /// Writes the closing line, unless it stands. Leads to [`Event::LineStands`].
    WriteClosingLine,
    /// Tells how the run ended wherever that is to be told. Can be done twice.
    TellVerdict,
    /// Notes what the console has to take before the run may end.
    OweConsole,
    /// Has the run release the lock, where there is a command. Otherwise leads to [`Event::NoHook`].
    AskToUnlock,
    /// Starts the command, where there is one, and no helper has. Otherwise leads to [`Event::HookEnded`].
    StartHook,
    /// Answers the run, and closes what leads to it.
    LetGoOfRun,
    /// Ends both helpers.
    Quit,
}

impl State {
    /// The state that an event leads to; `None` where it changes nothing.
    #[must_use]
    pub(crate) fn next(self, event: Event) -> Option<Self> {
        use Event::{
            ConsoleCaughtUp, ControlLost, Drained, HookEnded, LineStands, NoHook, NothingLeft, RunDied, RunTold,
            Unlocked,
        };
        Some(match (self, event) {
            (Self::Running { .. } | Self::Draining(End::Told), RunDied) => Self::Draining(End::Died),
            (Self::Running { control_is_lost: false }, RunTold) => Self::Draining(End::Told),
            (Self::Running { control_is_lost: false }, ControlLost) => Self::Running { control_is_lost: true },
            (Self::Draining(end), Drained) => Self::Closing(end),
            (Self::Closing(end), LineStands) => Self::Closed(end),
            (Self::Closed(End::Told), RunDied) => Self::Closed(End::Died),
            (Self::Closed(End::Told), ConsoleCaughtUp) => Self::Unlocking,
            (Self::Closed(End::Died), _) | (Self::Unlocking, Unlocked | RunDied) => Self::Hooking,
            (Self::Unlocking, NoHook) | (Self::Hooking, HookEnded) => Self::Lingering,
            (Self::Lingering, NothingLeft) => Self::Done,
            _ => return None,
        })
    }

    /// What is done in this state at once, in order.
    pub(crate) fn on_entry(self) -> &'static [Action] {
        match self {
            Self::Running { .. } => &[],
            Self::Draining(_) => &[Action::MeasureStreams],
            Self::Closing(_) => &[Action::WriteClosingLine],
            Self::Closed(_) => &[Action::TellVerdict, Action::OweConsole],
            Self::Unlocking => &[Action::AskToUnlock],
            Self::Hooking => &[Action::StartHook],
            Self::Lingering => &[Action::LetGoOfRun],
            Self::Done => &[Action::Quit],
        }
    }

    /// What is waited for, `backed_up` where so much waits for the console that the run should print no more for now.
    pub(crate) fn watches(self, backed_up: bool) -> Watches {
        let reads = !backed_up || self.is_dead();
        let is_running = matches!(self, Self::Running { .. });
        Watches {
            // A run whose console stalls is not asked to end.
            control: reads && self == Self::Running { control_is_lost: false } || self == Self::Unlocking,
            death: is_running || matches!(self, Self::Draining(End::Told) | Self::Closed(End::Told) | Self::Unlocking),
            streams: reads,
        }
    }

    /// The run is dead: a console that is behind holds nobody up.
    pub(crate) fn is_dead(self) -> bool {
        matches!(self, Self::Draining(End::Died) | Self::Closing(End::Died) | Self::Closed(End::Died))
    }

    /// The closing line stands.
    pub(crate) fn is_closed(self) -> bool {
        matches!(self, Self::Closed(_)) || self.is_judged()
    }

    /// The verdict was told, and what the console is to have of it.
    pub(crate) fn is_judged(self) -> bool {
        matches!(self, Self::Unlocking | Self::Hooking | Self::Lingering | Self::Done)
    }

    /// The run has not been let go.
    pub(crate) fn has_run(self) -> bool {
        !matches!(self, Self::Lingering | Self::Done)
    }

    /// As a byte of the journal.
    pub(crate) fn to_byte(self) -> u8 {
        Self::ALL.iter().zip(0..).find(|(state, _)| **state == self).map_or(0, |(_, byte)| byte)
    }

    /// From a byte of the journal.
    pub(crate) fn from_byte(byte: u8) -> Self {
        Self::ALL.get(usize::from(byte)).copied().unwrap_or(Self::Done)
    }

    /// Every state there is.
    pub(crate) const ALL: [Self; 12] = [
        Self::Running { control_is_lost: false },
        Self::Running { control_is_lost: true },
        Self::Draining(End::Told),
        Self::Draining(End::Died),
        Self::Closing(End::Told),
        Self::Closing(End::Died),
        Self::Closed(End::Told),
        Self::Closed(End::Died),
        Self::Unlocking,
        Self::Hooking,
        Self::Lingering,
        Self::Done,
    ];
}

/// Which descriptors are polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Watches {
    /// The control pipe.
    pub control: bool,
    /// The descriptor that tells of the run's death.
    pub death: bool,
    /// The streams.
    pub streams: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_of_the_journal() {
        for state in State::ALL {
            assert_eq!(State::from_byte(state.to_byte()), state);
        }
        assert_eq!(State::from_byte(0), State::Running { control_is_lost: false }, "an empty journal");
    }

    /// What the collector and its standby act on, as far as the states are concerned.
    #[derive(Debug, Default)]
    #[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
    struct World {
        run_is_dead: bool,
        /// The run has sent its closing line, and closed the control pipe behind it.
        told: bool,
        /// The run's code has closed the control pipe, silently.
        control_closed: bool,
        /// The kernel tells of the run's death.
        has_pidfd: bool,
        /// Batches in the streams: the run's, and those that a child writes.
        unread: u8,
        measured: Option<u8>,
        /// Of the closing line: it is on its way to the log; it stands there.
        lines: u8,
        /// Bytes that the console is yet to take.
        console: u8,
        owed: u8,
        stalls: bool,
        streams_ended: bool,
        has_run: bool,
        replies: u8,
        /// Status, metrics.
        verdicts: u8,
        has_hook: bool,
        /// The run was asked to release the lock, and has.
        asked: bool,
        unlocked: bool,
        hooks_started: u8,
        hook_runs: bool,
        quit: bool,
    }

    /// What happens beside the helpers.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Print,
        Tell,
        CloseControl,
        Die,
        StallConsole,
        MoveConsole,
        EndStreams,
        Unlock,
        EndHook,
        /// The collector goes once round its loop, and is killed before its n-th action, if there are so many.
        Collect {
            killed_before: u8,
        },
    }

    fn step() -> impl Strategy<Value = Step> {
        use Step::{CloseControl, Collect, Die, EndHook, EndStreams, MoveConsole, Print, StallConsole, Tell, Unlock};
        prop_oneof![
            4 => Just(Print),
            2 => Just(Tell),
            1 => Just(CloseControl),
            1 => Just(Die),
            1 => Just(StallConsole),
            3 => Just(MoveConsole),
            1 => Just(EndStreams),
            2 => Just(Unlock),
            2 => Just(EndHook),
            12 => (0..12_u8).prop_map(|killed_before| Collect { killed_before }),
        ]
    }

    /// The loop of `event_loop`, acting on the world; `lives` is asked before each action, and `None` is a death.
    struct Collector<'w> {
        world: &'w mut World,
        state: State,
        journal: &'w mut State,
        actions_left: u8,
    }

    impl Collector<'_> {
        fn act(&mut self) -> Option<()> {
            self.actions_left = self.actions_left.checked_sub(1)?;
            Some(())
        }

        fn on(&mut self, event: Event) -> Option<()> {
            match self.state.next(event) {
                Some(next) => self.enter(next),
                None => Some(()),
            }
        }

        fn enter(&mut self, state: State) -> Option<()> {
            self.act()?;
            self.state = state;
            *self.journal = state;
            for action in state.on_entry() {
                self.act()?;
                match action {
                    Action::MeasureStreams => drop(self.world.measured.get_or_insert(self.world.unread)),
                    Action::WriteClosingLine => {
                        // The log itself says whether it stands.
                        self.world.lines = 1;
                        self.act()?;
                        self.on(Event::LineStands)?;
                    }
                    Action::TellVerdict => {
                        assert_eq!(self.world.lines, 1, "told before the closing line stands");
                        self.world.verdicts = 1;
                    }
                    Action::AskToUnlock if self.world.has_hook => self.world.asked = true,
                    Action::AskToUnlock => self.on(Event::NoHook)?,
                    Action::StartHook if self.world.has_hook && self.world.hooks_started == 0 => {
                        assert_eq!(self.world.verdicts, 1, "the command runs before the verdict stands");
                        let passes_for_dead = self.world.run_is_dead || self.world.control_closed;
                        assert!(passes_for_dead || self.world.unlocked, "the command runs under the lock");
                        self.world.hooks_started += 1;
                        self.world.hook_runs = true;
                    }
                    Action::StartHook => self.on(Event::HookEnded)?,
                    Action::OweConsole => self.world.owed = self.world.console,
                    Action::LetGoOfRun => {
                        assert_eq!(self.world.lines, 1, "answered before the closing line stands");
                        assert_eq!(self.world.verdicts, 1, "answered before the verdict stands");
                        assert!(!self.world.hook_runs, "answered before the command has ended");
                        // Without a pidfd a run that closes its control pipe cannot be told from a dead one.
                        let passes_for_dead = self.world.run_is_dead || self.world.control_closed;
                        assert!(
                            passes_for_dead || self.world.owed == 0,
                            "a living run is let go before its console has everything"
                        );
                        self.world.replies += 1;
                        self.act()?;
                        self.world.has_run = false;
                    }
                    Action::Quit => self.world.quit = true,
                }
            }
            Some(())
        }

        /// Once round the loop. `None` where it was killed.
        fn turn(&mut self) -> Option<()> {
            if self.world.owed == 0 {
                self.on(Event::ConsoleCaughtUp)?;
            }
            if self.world.streams_ended && self.world.unread == 0 && self.world.console == 0 {
                self.on(Event::NothingLeft)?;
            }
            if self.world.quit {
                return Some(());
            }
            if !self.world.hook_runs {
                self.on(Event::HookEnded)?;
            }
            let watches = self.state.watches(self.world.stalls && self.world.console > 3);
            assert!(self.world.has_run || !watches.control && !watches.death, "polls what it has closed");
            if watches.death && self.world.has_pidfd && self.world.run_is_dead {
                self.on(Event::RunDied)?;
            } else if watches.control && self.state == State::Unlocking {
                if self.world.unlocked || self.world.run_is_dead {
                    self.on(Event::Unlocked)?;
                }
            } else if watches.control && self.world.told {
                self.on(Event::RunTold)?;
            } else if watches.control && (self.world.control_closed || self.world.run_is_dead) {
                self.on(if self.world.has_pidfd { Event::ControlLost } else { Event::RunDied })?;
            }
            if watches.streams && self.world.unread > 0 {
                self.act()?;
                self.world.unread -= 1;
                self.world.console += 1;
                self.world.measured = self.world.measured.map(|left| left.saturating_sub(1));
            }
            if self.world.measured == Some(0) || self.world.streams_ended && self.world.unread == 0 {
                self.on(Event::Drained)?;
            }
            Some(())
        }
    }

    fn go_on(world: &mut World, journal: &mut State, killed_before: u8) {
        let state = *journal;
        let mut collector = Collector { world, state, journal, actions_left: killed_before };
        if collector.turn().is_none() && !collector.world.quit {
            // The standby takes over: it forgets what it has not written, and enters the same state again.
            let state = *collector.journal;
            collector.actions_left = u8::MAX;
            (collector.world.measured, collector.world.console, collector.world.owed) = (None, 0, 0);
            // What a dead helper had started goes on without us.
            collector.world.hook_runs = false;
            assert_ne!(collector.enter(state), None);
        }
    }

    proptest! {
        // `PROPTEST_CASES` asks for more.
        #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2_000)))]

        #[test]
        fn any_course_of_events_with_the_collector_killed_anywhere(
            steps in proptest::collection::vec(step(), 0..60), has_pidfd: bool, has_hook: bool,
        ) {
            let mut world = World { has_pidfd, has_hook, has_run: true, ..World::default() };
            let mut journal = State::Running { control_is_lost: false };
            for step in steps {
                match step {
                    Step::Print if !world.streams_ended => world.unread = (world.unread + 1).min(100),
                    Step::Tell if !world.run_is_dead && !world.control_closed => world.told = true,
                    Step::CloseControl => world.control_closed |= !world.told,
                    Step::Die => world.run_is_dead = true,
                    Step::StallConsole => world.stalls = true,
                    Step::MoveConsole => {
                        world.stalls = false;
                        (world.console, world.owed) = (world.console.saturating_sub(2), world.owed.saturating_sub(2));
                    }
                    Step::EndStreams => world.streams_ended = world.told || world.run_is_dead,
                    Step::Unlock => world.unlocked |= world.asked && !world.run_is_dead,
                    Step::EndHook => world.hook_runs = false,
                    Step::Collect { killed_before } if !world.quit => go_on(&mut world, &mut journal, killed_before),
                    _ => {}
                }
                prop_assert!(world.lines == 1 || world.replies == 0);
            }
            // Whatever happened, a run that has ended is brought to its end.
            world.stalls = false;
            world.streams_ended = true;
            world.run_is_dead = true;
            world.hook_runs = false;
            for _ in 0..1000 {
                (world.console, world.owed) = (0, 0);
                world.hook_runs = false;
                if !world.quit {
                    go_on(&mut world, &mut journal, u8::MAX);
                }
            }
            prop_assert!(world.quit && world.lines == 1 && world.replies >= 1, "{world:?} in {journal:?}");
            prop_assert!(world.verdicts == 1 && world.hooks_started == u8::from(has_hook), "{world:?} in {journal:?}");
        }
    }
}
