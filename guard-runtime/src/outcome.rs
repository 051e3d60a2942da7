//! What a function's return value says of its run, told from its type without asking for more than the language does.
//!
//! Method resolution prefers the first of these that fits (as in `anyhow`'s `kind.rs`): a future, which is refused; an
//! exit code; a result whose error can be shown; a result whose error cannot; anything else.

use std::fmt::Debug;
use std::process::ExitCode;

/// How a run's function ended, for the closing line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `run finished in …`.
    Finished,
    /// `run failed in …`, with what is known of the reason.
    Failed(Option<String>),
    /// `run failed in …: exit code N`, for a process that is about to exit with this code.
    Code(u8),
}

/// Wraps a reference to the value; the expansion calls `(&&&&&Returned(&value)).guard_outcome()`.
#[derive(Debug)]
pub struct Returned<'a, T>(pub &'a T);

/// A future that the function made but did not run, whatever name its type has.
pub trait MadeFuture<F> {
    /// Not to be called.
    fn guard_outcome(&self) -> Outcome
    where
        F: RunsInside;
}

impl<F: Future> MadeFuture<F> for &&&&Returned<'_, F> {
    fn guard_outcome(&self) -> Outcome
    where
        F: RunsInside,
    {
        Outcome::Finished
    }
}

impl<F: Future, E> MadeFuture<F> for &&&&Returned<'_, Result<F, E>> {
    fn guard_outcome(&self) -> Outcome
    where
        F: RunsInside,
    {
        Outcome::Finished
    }
}

/// Nothing does.
#[diagnostic::on_unimplemented(
    message = "the run would end when the future is made, not when it has run",
    label = "a future: `{Self}`",
    note = "write an `async fn`, or return `Pin<Box<dyn Future<Output = …>>>`, spelled out"
)]
pub trait RunsInside {}

/// An exit code, by itself or in a result whose error can be shown.
pub trait Code {
    /// How the run ended.
    fn guard_outcome(&self) -> Outcome;
}

impl Code for &&&Returned<'_, ExitCode> {
    fn guard_outcome(&self) -> Outcome {
        of_code(*self.0)
    }
}

impl<E: Debug> Code for &&&Returned<'_, Result<ExitCode, E>> {
    fn guard_outcome(&self) -> Outcome {
        self.0.as_ref().map_or_else(of_error, |code| of_code(*code))
    }
}

/// A result whose error can be shown.
pub trait ShownError {
    /// How the run ended.
    fn guard_outcome(&self) -> Outcome;
}

impl<T, E: Debug> ShownError for &&Returned<'_, Result<T, E>> {
    fn guard_outcome(&self) -> Outcome {
        self.0.as_ref().map_or_else(of_error, |_| Outcome::Finished)
    }
}

/// A result whose error has no `Debug`.
pub trait HiddenError {
    /// How the run ended.
    fn guard_outcome(&self) -> Outcome;
}

impl<T, E> HiddenError for &Returned<'_, Result<T, E>> {
    fn guard_outcome(&self) -> Outcome {
        if self.0.is_ok() { Outcome::Finished } else { Outcome::Failed(None) }
    }
}

/// Anything else.
pub trait AnyValue {
    /// How the run ended.
    fn guard_outcome(&self) -> Outcome;
}

impl<T> AnyValue for Returned<'_, T> {
    fn guard_outcome(&self) -> Outcome {
        Outcome::Finished
    }
}

fn of_error(error: &impl Debug) -> Outcome {
    Outcome::Failed(Some(format!("{error:?}")))
}

fn of_code(code: ExitCode) -> Outcome {
    // It does not tell its number, but can be compared.
    match (0..=255).find(|&number| code == ExitCode::from(number)) {
        Some(0) => Outcome::Finished,
        Some(number) => Outcome::Code(number),
        None => Outcome::Failed(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! outcome {
        ($value:expr) => {
            (&&&&&Returned(&$value)).guard_outcome()
        };
    }

    #[test]
    fn by_type() {
        struct NoDebug;
        let failed = |why: &str| Outcome::Failed(Some(why.into()));
        assert_eq!(outcome!(()), Outcome::Finished);
        assert_eq!(outcome!(7), Outcome::Finished);
        assert_eq!(outcome!(Ok::<(), String>(())), Outcome::Finished);
        assert_eq!(outcome!(Err::<(), _>("disk on fire")), failed("\"disk on fire\""));
        assert_eq!(outcome!(Err::<(), NoDebug>(NoDebug)), Outcome::Failed(None));
        assert_eq!(outcome!(Ok::<(), NoDebug>(())), Outcome::Finished);
        assert_eq!(outcome!(ExitCode::from(3)), Outcome::Code(3));
        assert_eq!(outcome!(ExitCode::SUCCESS), Outcome::Finished);
        assert_eq!(outcome!(Ok::<ExitCode, String>(ExitCode::from(9))), Outcome::Code(9));
    }
}
