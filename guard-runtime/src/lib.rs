#![doc = include_str!("../README.md")]

#[cfg(not(unix))]
compile_error!("guard-runtime needs flock, pipes and fork: it works on Unix only");

mod cluster_arguments;
mod config;
mod descriptor;
mod fork;
mod launch;
mod link;
mod lock;
mod locks;
mod log_open;
mod logger;
mod outcome;
mod parse;
mod pty;
mod region;
mod run;

pub use config::{Config, StartError};
#[doc = include_str!("attribute.md")]
pub use guard_macros::locked_pipeline;
pub use launch::Tee;
#[cfg(feature = "postgres")]
pub use lock::cluster::{ClusterContention, ClusterHolder, OnLockLost, lock_lost};
pub use lock::{Contention, Holder, LockError, PipelineLock};
pub use parse::{parse_duration, parse_level, parse_size};
pub use run::{Guard, Outcome};

#[doc(hidden)]
pub mod __private;
