//! Makes a scheduled program safe to leave alone: one lock, one log, and nothing printed is lost.
//!
//! ```no_run
//! use guard_runtime::locked_pipeline;
//!
//! #[locked_pipeline(lock = "/run/lock/nightly.lock", log = "logs/nightly.log")]
//! fn main() -> Result<(), String> {
//!     println!("loading"); // console and log file
//!     log::info!("42 rows"); // console and log file
//!     Ok(())
//! }
//! ```
//!
//! [`locked_pipeline`] has every argument; [`Config`] says the same at run time and returns typed errors; [`PipelineLock`]
//! is the lock alone.
//!
//! A run, in order: the path templates are filled in; the lock is taken; the log is opened; the collector, a process of its
//! own, is forked, and standard output and standard error lead to it; the `log` logger is installed; the function runs; the
//! collector says that log and console have everything; the lock is released. Whatever cannot be set up ends the run before
//! the function is called.
//!
//! What was written survives the death of every process, but not a power cut: nothing is fsynced.

#[cfg(not(unix))]
compile_error!("guard-runtime needs flock, pipes and fork: it works on Unix only");

mod collector;
mod config;
mod fork;
mod frame;
mod lock;
mod logger;
mod outcome;
mod path_template;
mod run;
mod values;

pub use collector::Tee;
pub use config::{Config, StartError};
#[doc = include_str!("attribute.md")]
pub use guard_macros::locked_pipeline;
pub use lock::{Contention, Holder, LockError, PipelineLock};
pub use run::{Guard, Outcome};
pub use values::{parse_duration, parse_level, parse_size};

#[doc(hidden)]
pub mod __private;
