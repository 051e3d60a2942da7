#![doc = include_str!("../README.md")]

#[cfg(not(unix))]
compile_error!("guard-runtime needs flock, pipes and fork: it works on Unix only");

#[cfg(unix)]
mod collector;
#[cfg(unix)]
mod config;
#[cfg(unix)]
mod fork;
#[cfg(unix)]
mod frame;
#[cfg(unix)]
mod lock;
#[cfg(unix)]
mod logger;
#[cfg(unix)]
mod outcome;
#[cfg(unix)]
mod path_template;
#[cfg(unix)]
mod run;
#[cfg(unix)]
mod values;

#[cfg(unix)]
pub use collector::Tee;
#[cfg(unix)]
pub use config::{Config, StartError};
#[doc = include_str!("attribute.md")]
pub use guard_macros::locked_pipeline;
#[cfg(unix)]
pub use lock::{Contention, Holder, LockError, PipelineLock};
#[cfg(unix)]
pub use run::{Guard, Outcome};
#[cfg(unix)]
pub use values::{parse_duration, parse_level, parse_size};

#[doc(hidden)]
#[cfg(unix)]
pub mod __private;
