//! What is being done about the processes of a run that has taken too long, or that left some behind. Pure.
//!
//! As with [`State`](crate::state::State), each stage is in the journal before what it asks for is done.

/// What becomes of the processes of a run that died.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Survivors {
    /// The lock is kept until they have ended.
    #[default]
    Hold,
    /// They are ended, and the lock is kept meanwhile.
    Kill,
    /// Nothing: they are named in the log.
    Ignore,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Stage {
    /// The run goes on, or nothing is to be done.
    Idle,
    /// SIGTERM was sent to all of them.
    Terminating,
    /// SIGKILL was.
    Killing,
    /// They are waited for.
    Holding,
    /// None is left, or nothing more can be done.
    Over,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The run takes longer than its timeout.
    TimedOut,
    /// The run ends itself because it has lost its cluster lock.
    LockLost,
    /// The run died, and others have its streams open.
    LeftSurvivors(Survivors),
    /// `kill_after` has passed since SIGTERM.
    GraceOver,
    /// They live though SIGKILL was sent: another user's, or the kernel does not let go of them.
    CannotBeEnded(Survivors),
    /// The run and all its processes have ended.
    NobodyLeft,
}

impl Stage {
    /// The stage that an event leads to; `None` where it changes nothing.
    #[must_use]
    pub(crate) fn next(self, event: Event) -> Option<Self> {
        use Event::{CannotBeEnded, GraceOver, LeftSurvivors, LockLost, NobodyLeft, TimedOut};
        Some(match (self, event) {
            (Self::Idle, TimedOut | LeftSurvivors(Survivors::Kill)) | (Self::Idle | Self::Holding, LockLost) => {
                Self::Terminating
            }
            (Self::Terminating, GraceOver) => Self::Killing,
            (Self::Idle, LeftSurvivors(Survivors::Hold))
            | (Self::Killing, CannotBeEnded(Survivors::Hold | Survivors::Kill)) => Self::Holding,
            (Self::Killing, CannotBeEnded(Survivors::Ignore))
            | (Self::Terminating | Self::Killing | Self::Holding, NobodyLeft) => Self::Over,
            _ => return None,
        })
    }

    /// Something is done about them: the lock is wanted once the run does not hold it any more.
    pub(crate) fn is_active(self) -> bool {
        matches!(self, Self::Terminating | Self::Killing | Self::Holding)
    }

    /// What was sent last to a run that is dead now.
    pub(crate) fn last_signal(self) -> &'static str {
        if self == Self::Terminating { "SIGTERM" } else { "SIGKILL" }
    }

    /// From a byte of the journal.
    pub(crate) fn from_byte(byte: u8) -> Self {
        let all = [Self::Idle, Self::Terminating, Self::Killing, Self::Holding];
        all.into_iter().find(|stage| *stage as u8 == byte).unwrap_or(Self::Over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Stage; 5] = [Stage::Idle, Stage::Terminating, Stage::Killing, Stage::Holding, Stage::Over];

    #[test]
    fn every_stage_comes_back_from_the_journal() {
        for stage in ALL {
            assert_eq!(Stage::from_byte(stage as u8), stage);
        }
    }

    /// Whatever happens: SIGKILL comes after SIGTERM, nobody is signalled under `hold` and `ignore` unless the run timed out
    /// or lost its cluster lock, and it ends.
    #[test]
    fn no_stage_is_skipped_and_all_end() {
        use Event::*;
        let survivors = [Survivors::Hold, Survivors::Kill, Survivors::Ignore];
        for policy in survivors {
            let events = [TimedOut, LockLost, LeftSurvivors(policy), GraceOver, CannotBeEnded(policy), NobodyLeft];
            for stage in ALL {
                for event in events {
                    match stage.next(event) {
                        Some(Stage::Killing) => assert_eq!((stage, event), (Stage::Terminating, GraceOver)),
                        Some(Stage::Terminating) => {
                            let is_idle = stage == Stage::Idle && (event == TimedOut || policy == Survivors::Kill);
                            assert!(is_idle || event == LockLost);
                        }
                        Some(Stage::Holding) => assert_ne!(policy, Survivors::Ignore),
                        Some(Stage::Idle) => panic!("{stage:?} {event:?}"),
                        Some(Stage::Over) | None => {}
                    }
                }
                assert!(!stage.is_active() || stage.next(NobodyLeft) == Some(Stage::Over));
                assert!(stage != Stage::Over || events.iter().all(|event| stage.next(*event).is_none()));
            }
        }
    }
}
