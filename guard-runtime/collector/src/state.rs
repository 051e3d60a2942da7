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
    /// Every stream has ended, and the console has everything.
    NothingLeft,
}

/// What is done on entry of a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Finds out how much the streams hold: a child of the run that prints without end cannot put the end off.
    MeasureStreams,
    /// Writes the closing line, unless it stands. Leads to [`Event::LineStands`].
    WriteClosingLine,
    /// Notes what the console has to take before the run may end.
    OweConsole,
    /// Answers the run, and closes what leads to it.
    LetGoOfRun,
    /// Ends both helpers.
    Quit,
}

impl State {
    /// The state that an event leads to; `None` where it changes nothing.
    #[must_use]
    pub(crate) fn next(self, event: Event) -> Option<Self> {
        use Event::{ConsoleCaughtUp, ControlLost, Drained, LineStands, NothingLeft, RunDied, RunTold};
        Some(match (self, event) {
            (Self::Running { .. }, RunDied) => Self::Draining(End::Died),
            (Self::Running { control_is_lost: false }, RunTold) => Self::Draining(End::Told),
            (Self::Running { control_is_lost: false }, ControlLost) => Self::Running { control_is_lost: true },
            (Self::Draining(End::Told), RunDied) => Self::Draining(End::Died),
            (Self::Draining(end), Drained) => Self::Closing(end),
            (Self::Closing(end), LineStands) => Self::Closed(end),
            (Self::Closed(End::Told), RunDied) => Self::Closed(End::Died),
            (Self::Closed(End::Told), ConsoleCaughtUp) | (Self::Closed(End::Died), _) => Self::Lingering,
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
            Self::Closed(_) => &[Action::OweConsole],
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
            control: reads && self == Self::Running { control_is_lost: false },
            death: is_running || matches!(self, Self::Draining(End::Told) | Self::Closed(End::Told)),
            streams: reads,
        }
    }

    /// The run is dead: a console that is behind holds nobody up.
    pub(crate) fn is_dead(self) -> bool {
        matches!(self, Self::Draining(End::Died) | Self::Closing(End::Died) | Self::Closed(End::Died))
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
    pub(crate) const ALL: [Self; 10] = [
        Self::Running { control_is_lost: false },
        Self::Running { control_is_lost: true },
        Self::Draining(End::Told),
        Self::Draining(End::Died),
        Self::Closing(End::Told),
        Self::Closing(End::Died),
        Self::Closed(End::Told),
        Self::Closed(End::Died),
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
