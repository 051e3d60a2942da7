#![doc = include_str!("../README.md")]

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
