//! Why a run could not be started, and what to do about it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

#[cfg(doc)]
use crate::Config;
#[cfg(feature = "postgres")]
use crate::lock::cluster::ClusterContention;
use crate::lock::{Contention, UnusableLock, remedy};

/// Exit code of a run that could not be set up: `EX_CANTCREAT` of sysexits(3).
const SETUP_FAILED: u8 = 73;
/// Exit code where the holder of the lock seems stuck: `EX_TEMPFAIL` of sysexits(3).
const HOLDER_STUCK: u8 = 75;

/// Why a run could not be started. The user's code has not run.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// Another run holds the lock. The log has a line that says so.
    #[non_exhaustive]
    Held {
        /// Who holds it.
        contention: Contention,
        /// [`Config::conflict_exit_code`].
        exit_code: u8,
    },
    /// Another run holds it, and has run for longer than [`Config::stuck_after`]. The log has a line that says so.
    #[non_exhaustive]
    Stuck {
        /// Who holds it.
        contention: Contention,
        /// How long a run may take.
        limit: Duration,
    },
    /// Another run holds the cluster lock, on this or another machine. The log has a line that says so.
    #[cfg(feature = "postgres")]
    #[non_exhaustive]
    HeldInCluster {
        /// Who holds it.
        contention: ClusterContention,
        /// [`Config::stuck_after`], where the holder has been connected for longer.
        longer_than: Option<Duration>,
        /// [`Config::conflict_exit_code`].
        exit_code: u8,
    },
    /// The cluster lock could not be tried: no connection, no login, no server that can hold it.
    #[cfg(feature = "postgres")]
    #[non_exhaustive]
    Cluster {
        /// What was wrong, and what to do; no password.
        what: String,
    },
    /// Another run is active in this process: one after the other works, one inside or beside the other does not.
    Active,
    /// A path template or a number cannot be used.
    #[non_exhaustive]
    Argument {
        /// Which, and what would be right.
        what: String,
    },
    /// The lock could not be tried.
    Lock(UnusableLock),
    /// The log could not be opened.
    #[non_exhaustive]
    Log {
        /// The log file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file of `status` or `metrics` cannot be used.
    #[non_exhaustive]
    Report {
        /// Which of the two.
        argument: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// unshare(2) has made a PID namespace for this process's children. The first of them, which ends all others with it, would
    /// be a helper of the run. Inside the run it may be called.
    ChildNamespace,
    /// The system refused a process, a pipe or a descriptor: a run fails closed rather than run unlogged.
    Capture(io::Error),
}

impl StartError {
    /// What a program should exit with: [`Config::conflict_exit_code`] where the lock is held, 75 (`EX_TEMPFAIL` of
    /// sysexits(3)) where its holder is stuck, else 73 (`EX_CANTCREAT`).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Held { exit_code, .. } => *exit_code,
            Self::Stuck { .. } => HOLDER_STUCK,
            #[cfg(feature = "postgres")]
            Self::HeldInCluster { longer_than: None, exit_code, .. } => *exit_code,
            #[cfg(feature = "postgres")]
            Self::HeldInCluster { .. } => HOLDER_STUCK,
            _ => SETUP_FAILED,
        }
    }

    /// The run was not to be, or its lock's server was not to be had: the log says so too.
    pub(crate) fn is_skip(&self) -> bool {
        #[cfg(feature = "postgres")]
        if matches!(self, Self::HeldInCluster { .. } | Self::Cluster { .. }) {
            return true;
        }
        matches!(self, Self::Held { .. } | Self::Stuck { .. })
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { contention, .. } => write!(f, "run skipped: {contention}"),
            Self::Stuck { contention, limit } => {
                write!(f, "run skipped: {contention}, longer than the {limit:?} that a run may take: check on it")
            }
            Self::Active => f.write_str("another guarded run is active in this process; end it first"),
            Self::Argument { what } => f.write_str(what),
            Self::ChildNamespace => f.write_str(
                "cannot start the log's collector: it would be the first process of the PID namespace that unshare has \
                 made for this process's children, and all of them would end with it; call unshare inside the run",
            ),
            #[cfg(feature = "postgres")]
            Self::HeldInCluster { contention, longer_than: None, .. } => write!(f, "run skipped: {contention}"),
            #[cfg(feature = "postgres")]
            Self::HeldInCluster { contention, longer_than: Some(limit), .. } => {
                write!(f, "run skipped: {contention}, longer than the {limit:?} that a run may take: check on it")
            }
            #[cfg(feature = "postgres")]
            Self::Cluster { what } => f.write_str(what),
            Self::Lock(error) => error.fmt(f),
            Self::Log { path, error } => {
                write!(f, "cannot open the log {}: {error}; {}", path.display(), remedy(error))
            }
            Self::Report { argument, path, error } => {
                write!(f, "cannot use the {argument} file {}: {error}; {}", path.display(), remedy(error))
            }
            Self::Capture(error) => {
                let remedy = match error.raw_os_error() {
                    Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EAGAIN) => {
                        "raise the limit that was reached"
                    }
                    _ => {
                        "it needs pipes and processes of its own: allow them where a sandbox or a container forbids them"
                    }
                };
                write!(f, "cannot start the log's collector: {error}; {remedy}")
            }
        }
    }
}

// The message says it all: with a source beside it, a chain of errors would say that twice.
impl std::error::Error for StartError {}
