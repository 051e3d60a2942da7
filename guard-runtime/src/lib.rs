#![doc = include_str!("../README.md")]

#[cfg(not(unix))]
compile_error!("guard-runtime needs flock, pipes and fork: it works on Unix only");

#[cfg(unix)]
mod choices;
#[cfg(unix)]
mod closing_line;
#[cfg(unix)]
mod cluster_arguments;
#[cfg(all(unix, feature = "postgres"))]
mod cluster_builder;
#[cfg(all(unix, feature = "postgres"))]
mod cluster_config;
#[cfg(unix)]
mod config;
#[cfg(unix)]
mod descriptor;
#[cfg(unix)]
mod environment;
#[cfg(unix)]
mod error;
#[cfg(unix)]
mod flush;
#[cfg(unix)]
mod fork;
#[cfg(unix)]
mod launch;
#[cfg(unix)]
mod link;
#[cfg(unix)]
mod lock;
#[cfg(unix)]
mod locks;
#[cfg(unix)]
mod log_open;
#[cfg(unix)]
mod logger;
#[cfg(unix)]
mod outcome;
#[cfg(unix)]
mod outer_run;
#[cfg(unix)]
mod parse;
#[cfg(unix)]
mod pid_one;
#[cfg(unix)]
mod probe;
#[cfg(unix)]
mod pty;
#[cfg(unix)]
mod region;
#[cfg(unix)]
mod run;
#[cfg(unix)]
mod setup;
#[cfg(unix)]
mod show;
#[cfg(unix)]
mod stuck;
#[cfg(unix)]
mod usage;
#[cfg(unix)]
mod verdict;

#[cfg(unix)]
pub use choices::{ConsoleMode, Tee};
#[cfg(unix)]
pub use config::Config;
#[cfg(unix)]
pub use error::StartError;
#[cfg(unix)]
pub use guard_collector::Survivors;
#[doc = include_str!("attribute.md")]
pub use guard_macros::locked_pipeline;
#[cfg(all(unix, feature = "postgres"))]
pub use lock::cluster::{ClusterContention, ClusterHolder, OnLockLost, lock_lost};
#[cfg(unix)]
pub use lock::{Contention, Holder, Left, LockError, PipelineLock, UnusableLock};
#[cfg(unix)]
pub use outcome::Outcome;
#[cfg(unix)]
pub use parse::{ParseError, parse_duration, parse_level, parse_size};
#[cfg(unix)]
pub use run::Guard;

#[doc(hidden)]
#[cfg(unix)]
pub mod __private;
