//! Makes a program that runs unattended safe to leave alone: one instance at a time, everything it prints in a rotated log,
//! a limit on how long it may take, and a record of how each run ended, `kill -9` included.
//!
//! ```no_run
//! use guard_runtime::locked_pipeline;
//!
//! #[locked_pipeline(lock = "~/.local/state/nightly.lock", log = "~/.local/state/nightly.log", timeout = "2h")]
//! fn main() -> Result<(), std::io::Error> {
//!     println!("loading"); // to the console and the log
//!     std::process::Command::new("du").arg("-sh").status()?; // and what a child prints
//!     log::info!("42 rows"); // to the console and the log
//!     Ok(())
//! }
//! ```
//!
//! * [`locked_pipeline`] is the attribute. Its page lists every argument, what happens in which order, and which functions
//!   it accepts, async ones among them.
//! * [`Config`] is the builder, for a configuration that is known at run time only. Its [`start`](Config::start) returns a
//!   [`Guard`], and the run lasts until that is [finished](Guard::finish) or dropped; [`StartError`] says why there is no run.
//! * [`PipelineLock`] is the lock alone.
//!
//! # The builder
//!
//! ```
//! # let directory = tempfile::tempdir().unwrap();
//! # let (lock, log) = (directory.path().join("a.lock"), directory.path().join("a.log"));
//! # let (lock, log) = (lock.to_str().unwrap(), log.to_str().unwrap());
//! use std::time::Duration;
//! use guard_runtime::{Config, Outcome, StartError};
//!
//! match Config::new(lock, log).timeout(Duration::from_secs(7200)).start() {
//!     Ok(guard) => {
//!         println!("loading");
//!         guard.finish(Outcome::Finished); // the log has everything, the lock is free
//!     }
//!     Err(StartError::Held { contention, .. }) => println!("skipped: {contention}"),
//!     Err(error) => {
//!         eprintln!("{error}");
//!         std::process::exit(error.exit_code().into());
//!     }
//! }
//! ```
//!
//! # How it works
//!
//! The run takes an flock(2) lock, opens the log and forks a collector process; standard output and standard error lead to
//! the collector through a pipe. When the program dies, the kernel keeps what is in the pipe, and the collector reads it to
//! the end, writes how the run ended, and exits. A second process, the standby, replaces a collector that is killed.
//!
//! # Features
//!
//! * `postgres`: `cluster_lock`, a second lock that PostgreSQL holds, for jobs that more than one host may start.
//!
//! # Systems
//!
//! Unix only. Tested on Linux; on macOS and FreeBSD it compiles, and has never been run.
//!
//! # Where the rest is
//!
//! The repository has a README with a quick start, and in `docs/` how to operate a job (`operating.md`), what is not promised
//! (`limits.md`), how it compares with `flock`, `timeout`, `multilog` and others (`comparison.md`), and the cluster lock
//! (`cluster-lock.md`).

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

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
mod ending;
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
pub use lock::cluster::{ClusterContention, ClusterHolder, OnLockLost};
#[cfg(all(unix, feature = "postgres"))]
pub use lock::lost::lock_lost;
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
