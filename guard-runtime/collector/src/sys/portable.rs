//! What every Unix offers: no descriptor that tells of a process's death, no splice, no `/proc`.

use core::ffi::CStr;
use core::ops::Range;

use rustix::event::{PollFd, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use rustix::fs::OFlags;
use rustix::io::{Errno, FdFlags};
use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};

use crate::readiness::has_hung_up;

use super::{Ends, Look, Parent, close_one_by_one, double_fork};

/// Whether [`splice`] can move bytes into a pipe of another user's without blocking.
pub const HAS_SPLICE: bool = false;

/// A pipe, reader first, closed on exec. A child that another thread starts between the two steps keeps it.
///
/// # Errors
/// As pipe(2): `EMFILE`, `ENFILE`.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    let (reader, writer) = rustix::pipe::pipe()?;
    rustix::io::fcntl_setfd(&reader, FdFlags::CLOEXEC)?;
    rustix::io::fcntl_setfd(&writer, FdFlags::CLOEXEC)?;
    Ok((reader, writer))
}

/// A pipe's room cannot be chosen here.
pub fn widen_pipe(_: impl AsFd, _: usize) {}

/// What a pipe takes when it is empty.
pub(crate) fn pipe_capacity(_: impl AsFd) -> usize {
    rustix::pipe::PIPE_BUF
}

/// There is no descriptor that tells of this process's death: the end of the control pipe does.
///
/// # Errors
/// None.
pub fn own_process() -> Result<Option<OwnedFd>, Errno> {
    Ok(None)
}

/// Nothing says here which group it is.
pub(crate) fn tell_group_of_resize(_: Pid) {}

/// Without a descriptor of the process there is nobody to tell.
pub(crate) fn tell_of_resize(_: &OwnedFd) {}

/// Sends a signal to the run, and to its process group where it leads one. Of 1 that would be every process there is (kill(2)).
pub(crate) fn signal_run(_: Option<&OwnedFd>, run: Pid, signal: Signal) {
    if getpgid(Some(run)) == Ok(run) && run != Pid::INIT {
        let _ = kill_process_group(run, signal);
    } else {
        let _ = kill_process(run, signal);
    }
}

/// Kills a helper whose end of the pipe is open, so that it lives.
pub(crate) fn kill_helper(helper: Pid, pipe: &OwnedFd) {
    if !has_hung_up(pipe) {
        let _ = kill_process(helper, Signal::KILL);
    }
}

/// A double fork: the helper becomes a child of init, which reaps it.
pub(crate) fn fork(parent: Parent) -> Result<Option<Pid>, Errno> {
    double_fork(parent)
}

/// The helpers are init's children: there is nothing to reap.
pub fn reap(_: Pid, _: bool) -> bool {
    true
}

/// Closes the descriptors of the range.
pub(crate) fn close_range(first: RawFd, last: RawFd) {
    close_one_by_one(first, last);
}

/// A description of its own for a place cannot be had here.
pub fn opened_anew(_: impl AsFd, _: OFlags) -> Option<OwnedFd> {
    None
}

/// A pseudo-terminal does not tell of changes here.
pub fn tell_of_changes(_: &OwnedFd) -> bool {
    false
}

/// A socket's queue cannot be looked into here without taking out what it holds.
pub fn queue_of(_: &[BorrowedFd<'_>]) -> Option<OwnedFd> {
    None
}

/// There is no such queue here.
pub(crate) fn ends_in(_: &OwnedFd, _: Look) -> Ends {
    [None, None]
}

/// A process cannot be renamed here.
pub(crate) fn set_name(_: &CStr) {}

/// Not to be had here.
pub(crate) fn splice(_: &OwnedFd, _: &OwnedFd, _: usize) -> Result<usize, Errno> {
    Err(Errno::NOSYS)
}

/// A stream cannot say here who reads it.
pub fn set_readers(_: impl AsFd, _: Pid) {}

/// As above.
pub fn readers(_: impl AsFd) -> Option<u32> {
    None
}

/// How a directory is opened on the way to another one.
pub(crate) const SEARCH: OFlags = OFlags::RDONLY;

/// Access control lists are not asked for here.
pub(crate) fn read_acl(_: &OwnedFd, _: &mut [u8]) -> Result<usize, Errno> {
    Ok(0)
}

/// As above.
pub(crate) fn write_acl(_: &OwnedFd, _: &[u8]) -> Result<(), Errno> {
    Ok(())
}

/// The path of a directory that was removed cannot be asked here.
pub(crate) fn removed_path<'a>(_: &OwnedFd, _: &'a mut [u8]) -> Option<&'a [u8]> {
    None
}

/// A process sleeps so long.
pub(crate) fn sleep(time: &rustix::event::Timespec) {
    let none: &mut [PollFd<'_>] = &mut [];
    let _ = poll(none, Some(time));
}

/// Which memory is whose cannot be asked here: a helper keeps it all.
pub(crate) struct Kept;

impl Kept {
    pub(crate) fn new(_: [Range<usize>; 2]) -> Self {
        Self
    }

    #[allow(clippy::unused_self, reason = "the other way has something to keep")]
    pub(crate) fn let_go_of_the_rest(&self, _: usize) {}
}
