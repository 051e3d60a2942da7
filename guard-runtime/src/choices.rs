//! What the arguments `tee` and `console` choose between.

/// Which raw streams are captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tee {
    /// Standard output and standard error.
    #[default]
    Both,
    /// Standard output alone.
    Stdout,
    /// Neither: only `log` records reach the log.
    None,
}

/// When the console gets what the run prints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConsoleMode {
    /// At once.
    #[default]
    Always,
    /// Once the run has failed, and else not at all. On a terminal, at once.
    OnFailure,
}
