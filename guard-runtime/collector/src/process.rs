//! Processes: how a helper is forked from a program that may have threads, and what it keeps.

use rustix::fd::RawFd;
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};

pub(crate) use crate::sys::Parent;
use crate::sys::{self, exit};

/// Forks a helper, in which this returns `None`. Every signal is blocked there from the start, if the caller has
/// [blocked](crate::signals::Blocked) them: no handler of the user's ever runs in it, a write to a broken pipe is an error
/// and not a death, and a terminal's Ctrl-C is not for it.
///
/// # Safety
/// In the helper nothing may be called that allocates, frees or takes a lock, for other threads of the caller may have held
/// any at the fork; and it must end in [`exit`].
///
/// # Errors
/// As clone(2) and fork(2): `EAGAIN` at a process limit, `ENOMEM`.
#[allow(unsafe_code)]
pub unsafe fn fork(parent: Parent) -> Result<Option<Pid>, Errno> {
    sys::fork(parent)
}

/// The directory that the run was started in may be unmounted.
pub(crate) fn leave_directory() {
    let _ = rustix::process::chdir(c"/");
}

/// A helper has the run's limits on processor time and on the size of files. It raises them as far as it may.
pub(crate) fn raise_limits() {
    for resource in [Resource::Cpu, Resource::Fsize] {
        let none = Rlimit { current: None, maximum: None };
        if setrlimit(resource, none).is_err() {
            let maximum = getrlimit(resource).maximum;
            let _ = setrlimit(resource, Rlimit { current: maximum, maximum });
        }
    }
}

/// A panic in a helper would unwind into the code that it was forked from: it ends here instead.
pub(crate) struct ExitOnDrop;

impl Drop for ExitOnDrop {
    fn drop(&mut self) {
        exit(70);
    }
}

/// Closes every descriptor but those in `keep`: a helper that held an inherited pipe open would keep its reader (a CI
/// job, an ssh channel) waiting.
pub(crate) fn close_all_but(keep: &[RawFd]) {
    let mut first = 0;
    while let Some(&next) = keep.iter().filter(|&&descriptor| descriptor >= first).min() {
        if next > first {
            sys::close_range(first, next - 1);
        }
        first = next + 1;
    }
    sys::close_range(first, RawFd::MAX);
}
