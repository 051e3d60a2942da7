#![doc = include_str!("../README.md")]

#[cfg(not(unix))]
compile_error!("guard-runtime needs flock, pipes and fork: it works on Unix only");

mod cluster_arguments;
#[cfg(feature = "postgres")]
mod cluster_config;
mod config;
mod descriptor;
mod environment;
mod fork;
mod launch;
mod link;
mod lock;
mod locks;
mod log_open;
mod logger;
mod outcome;
mod parse;
mod pid_one;
mod pty;
mod region;
mod run;
mod usage;
mod verdict;

pub use config::{Config, StartError};
pub use guard_collector::Survivors;
#[doc = include_str!("attribute.md")]
pub use guard_macros::locked_pipeline;
pub use launch::Tee;
#[cfg(feature = "postgres")]
pub use lock::cluster::{ClusterContention, ClusterHolder, OnLockLost, lock_lost};
pub use lock::{Contention, Holder, Left, LockError, PipelineLock};
pub use parse::{parse_duration, parse_level, parse_size};
pub use run::{Guard, Outcome};

#[doc(hidden)]
pub mod __private;
