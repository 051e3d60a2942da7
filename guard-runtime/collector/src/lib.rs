//! What runs after the fork: the helper processes of guard-runtime. It has no stable interface; use guard-runtime.
//!
//! A helper is forked from a program that may have threads, any of which may have held any lock at that moment. So this
//! crate is `no_std`, without `alloc`: it cannot allocate, free or take a lock of std. All its memory is lent by the run out
//! of two regions made before the fork; a helper lets go of all other memory before it answers.
//!
//! Nothing in here knows the `log` crate, the environment or the user's types.

#![cfg_attr(not(test), no_std)]
#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::string_slice)
)]

#[cfg(not(unix))]
compile_error!("guard-runtime needs flock, pipes and fork: it works on Unix only");

mod ansi;
mod blocking;
mod buffer;
mod closing_line;
mod collector;
mod console;
mod event_loop;
mod exit_status;
#[cfg(all(target_os = "linux", not(guard_portable)))]
mod family;
#[cfg(not(all(target_os = "linux", not(guard_portable))))]
#[path = "family_portable.rs"]
mod family;
mod file_id;
mod file_name;
mod held_console;
mod held_lock;
mod hook;
mod journal;
mod json;
mod kept_lock;
mod lines;
mod log_access;
mod log_file;
mod log_lock;
mod metrics;
mod mirror;
mod moment;
mod output;
mod process;
pub mod protocol;
mod readiness;
mod refusal;
mod remains;
mod remains_text;
mod replace;
mod report;
mod resolve;
mod run_stat;
mod signals;
mod stage;
mod stamp;
mod standby;
mod state;
mod status;
mod stdio;
mod stream;
mod supervision;
pub mod sys;
mod usage;
mod verdict;
mod window_size;

use core::ops::Range;

pub use blocking::HeldEnds;
pub use buffer::Buffer;
pub use collector::{Collector, Parts, RunLink};
pub use console::WAITED_FOR as CONSOLE_TIMEOUT;
pub use family::{FamilyMemory, StreamId};
pub use file_id::{FileId, same_place};
pub use file_name::NAME_MAX;
pub use hook::{Hook, TIMEOUT as COMMAND_TIMEOUT};
pub use journal::{Journal, Shared};
pub use lines::{Batch, LINE_CAPACITY, hook_lines, record_line, record_text};
pub use log_file::{Appended, LogFile};
pub use mirror::as_ours;
pub use moment::{Moment, Seconds, Span};
pub use output::Output;
pub use process::fork;
pub use refusal::{Refusal, file_kind, planted};
pub use remains::Limits;
pub use replace::TEMPORARY_IS_LONGER_BY;
pub use report::{Identity, ROOM as REPORT_ROOM, Report, Target};
pub use run_stat::RunStat;
use rustix::io::Errno;
use rustix::process::Pid;
pub use signals::{Blocked, without_size_signal};
pub use stage::Survivors;
pub use stamp::{Stamper, monotonic, now, since_boot};
pub use status::RunState;
pub use stdio::{PerStdio, Stdio};
pub use stream::Stream;
pub use usage::Usage;
pub use verdict::{OnEnd, Verdict, VerdictMemory};

/// Private memory that the parts of a collector are lent, at most.
pub const MEMORY: usize = 2 * stream::MEMORY + output::MEMORY;

/// Forks the collector, which forks its standby unless the run is over by then. Returns the process group of the helpers.
///
/// `collector` and all that it was lent lie in `memory`: everything else is let go of in the helpers.
///
/// # Errors
/// As clone(2) and fork(2): `EAGAIN` at a process limit, `ENOMEM`.
#[allow(unsafe_code)]
#[inline(never)]
pub fn spawn(collector: &mut Collector, memory: [Range<usize>; 2]) -> Result<Pid, Errno> {
    // Everything above this function's frame belongs to callers, to which a helper does not return.
    let frame = &raw const memory as usize + 4096;
    let kept = sys::Kept::new(memory);
    let _blocked = Blocked::all();
    // SAFETY: what follows in the helper is code of this crate, which cannot allocate; it ends in `exit`.
    match unsafe { process::fork(process::Parent::Caller) }? {
        Some(pid) => {
            // While the helper gets ready, for which the run waits.
            collector.verdict.count_kills();
            Ok(pid)
        }
        None => collector.start(&kept, frame),
    }
}
