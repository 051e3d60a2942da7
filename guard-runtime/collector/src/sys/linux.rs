//! What Linux offers.

use core::ffi::CStr;
use core::fmt::Write;
use core::mem::MaybeUninit;

use rustix::event::{PollFd, poll};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use rustix::fs::{Mode, OFlags, RawDir, open};
use rustix::io::{Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_getpipe_size, fcntl_setpipe_size, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, getpid, getppid, kill_process, pidfd_open, pidfd_send_signal};

use super::{Ends, Look, Parent, close_one_by_one, double_fork, last_errno, start_session};
use crate::buffer::Buffer;
use crate::file_id::same_place;
use crate::readiness::has_hung_up;

/// Whether `splice` can move bytes into a pipe of another user's without blocking.
pub const HAS_SPLICE: bool = true;

/// A pipe, reader first, closed on exec.
///
/// # Errors
/// As pipe2(2): `EMFILE`, `ENFILE`.
pub fn pipe() -> Result<(OwnedFd, OwnedFd), Errno> {
    pipe_with(PipeFlags::CLOEXEC)
}

/// Asks for more room in a pipe. Best effort: an ordinary user's pipes share a limit (pipe(7),
/// `pipe-user-pages-soft`).
pub fn widen_pipe(pipe: impl AsFd, bytes: usize) {
    let _ = fcntl_setpipe_size(pipe, bytes);
}

/// What a pipe takes when it is empty.
pub(crate) fn pipe_capacity(pipe: impl AsFd) -> usize {
    fcntl_getpipe_size(pipe).unwrap_or(rustix::pipe::PIPE_BUF)
}

/// A descriptor that tells of this process's death. `None` before Linux 5.3, or where a sandbox forbids it: the end of
/// the control pipe tells it too, unless a forked child of the user's holds that open.
///
/// # Errors
/// `EMFILE`, `ENFILE`.
pub fn own_process() -> Result<Option<OwnedFd>, Errno> {
    match pidfd_open(getpid(), PidfdFlags::empty()) {
        Ok(process) => Ok(Some(process)),
        Err(error @ (Errno::MFILE | Errno::NFILE)) => Err(error),
        Err(_) => Ok(None),
    }
}

/// Tells all of a group that their terminal has another size.
pub(crate) fn tell_group_of_resize(group: Pid) {
    let _ = rustix::process::kill_process_group(group, Signal::WINCH);
}

/// Tells a process that its terminal has another size.
pub(crate) fn tell_of_resize(process: &OwnedFd) {
    let _ = pidfd_send_signal(process, Signal::WINCH);
}

/// Sends a signal to the run. Where there is no descriptor of it (Linux before 5.3, a sandbox), to its pid, if it is our parent:
/// otherwise that may be another process's by now.
pub(crate) fn signal_run(process: Option<&OwnedFd>, run: Pid, signal: Signal) {
    if let Some(process) = process {
        let _ = pidfd_send_signal(process, signal);
    } else if getppid() == Some(run) {
        let _ = kill_process(run, signal);
    }
}

/// Kills a helper whose end of the pipe is open, so that it lives.
pub(crate) fn kill_helper(helper: Pid, pipe: &OwnedFd) {
    if let Ok(process) = pidfd_open(helper, PidfdFlags::empty())
        && !has_hung_up(pipe)
    {
        let _ = pidfd_send_signal(process, Signal::KILL);
    }
}

/// A bare `clone` without an exit signal: plain `wait()` does not see the child, and no `pthread_atfork` handler of the
/// user's runs in it.
#[allow(unsafe_code)]
pub(crate) fn fork(parent: Parent) -> Result<Option<Pid>, Errno> {
    let flags = match parent {
        Parent::Caller => 0,
        Parent::CallersParent => libc::CLONE_PARENT,
    } as libc::c_ulong;
    let none = 0 as libc::c_ulong;
    // The order of the arguments differs by architecture (clone(2)).
    let [first, second] = if cfg!(target_arch = "s390x") { [none, flags] } else { [flags, none] };
    // SAFETY: without CLONE_VM this is fork: the child has its own copy of memory and goes on on its own stack.
    let result = unsafe { libc::syscall(libc::SYS_clone, first, second, none, none, none) };
    match result {
        -1 => match last_errno() {
            // qemu-user refuses a clone without an exit signal.
            Errno::INVAL => double_fork(parent),
            error => Err(error),
        },
        0 => {
            start_session(parent);
            Ok(None)
        }
        pid => Ok(Pid::from_raw(pid as i32)),
    }
}

/// Reaps the helpers of a finished run, all of which are in the process group of the first. Says whether none is left;
/// `wait` waits until then.
#[allow(unsafe_code)]
pub fn reap(first: Pid, wait: bool) -> bool {
    let flags = libc::__WALL | if wait { 0 } else { libc::WNOHANG };
    loop {
        // SAFETY: no status is asked for.
        match unsafe { libc::waitpid(-first.as_raw_nonzero().get(), core::ptr::null_mut(), flags) } {
            0 => return false,
            -1 if last_errno() != Errno::INTR => return true,
            _ => {}
        }
    }
}

/// Closes the descriptors of the range.
#[allow(unsafe_code)]
pub(crate) fn close_range(first: RawFd, last: RawFd) {
    // SAFETY: the descriptors of this range belong to nobody in this process (see `process::close_all_but`).
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    // Linux before 5.9, and old sandboxes.
    if result != 0 && close_listed(first, last).is_err() {
        close_one_by_one(first, last);
    }
}

/// Those that /proc lists: where a container has raised the limit to a thousand million, one by one would take minutes.
#[allow(unsafe_code)]
fn close_listed(first: RawFd, last: RawFd) -> Result<(), Errno> {
    let directory = open(c"/proc/self/fd", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut room = [MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(&directory, &mut room);
    while let Some(entry) = entries.next() {
        let number = entry?.file_name().to_str().ok().and_then(|name| name.parse::<RawFd>().ok());
        if let Some(number) =
            number.filter(|number| (first..=last).contains(number) && *number != directory.as_raw_fd())
        {
            // SAFETY: as in `close_range`.
            unsafe { libc::close(number) };
        }
    }
    Ok(())
}

/// The same terminal or pipe by a description of its own, whose flags are nobody else's. None for a user who may write
/// to it but not open it (su, sudo, cron).
pub fn opened_anew(place: impl AsFd, flags: OFlags) -> Option<OwnedFd> {
    let place = place.as_fd();
    let path = link_of(place)?;
    let own =
        open(CStr::from_bytes_until_nul(&path).ok()?, flags | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    same_place(place, &own).then_some(own)
}

/// Has a pseudo-terminal's master tell of each change of the flags (`tty_ioctl(4)`, `TIOCPKT`): a read gives one byte
/// first that is 0 before data. Of a terminal with `EXTPROC` all changes are told.
#[allow(unsafe_code)]
pub fn tell_of_changes(master: &OwnedFd) -> bool {
    let on: libc::c_int = 1;
    // SAFETY: reads one int.
    unsafe { libc::ioctl(master.as_raw_fd(), libc::TIOCPKT, &raw const on) == 0 }
}

/// The reading end of a socket with descriptors in its queue (unix(7), `SCM_RIGHTS`). `None` where a sandbox forbids sockets.
pub fn queue_of(ends: &[BorrowedFd<'_>]) -> Option<OwnedFd> {
    let (reader, writer) = socketpair(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()?;
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut message = SendAncillaryBuffer::new(&mut room);
    let fits = message.push(SendAncillaryMessage::ScmRights(ends));
    (fits && sendmsg(&writer, &[IoSlice::new(&[0])], &mut message, SendFlags::empty()).is_ok()).then_some(reader)
}

/// The descriptors in a socket's queue, which it keeps or loses.
pub(crate) fn ends_in(queue: &OwnedFd, look: Look) -> Ends {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut message = RecvAncillaryBuffer::new(&mut room);
    let flags = match look {
        Look::Copy => RecvFlags::PEEK,
        Look::Remove => RecvFlags::empty(),
    };
    let flags = flags | RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    let mut ends = [None, None];
    if recvmsg(queue, &mut [IoSliceMut::new(&mut [0])], &mut message, flags).is_ok() {
        let descriptors = message.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        });
        for (slot, descriptor) in ends.iter_mut().zip(descriptors.flatten()) {
            *slot = Some(descriptor);
        }
    }
    ends
}

/// A process's name as ps(1) and top(1) show it; at most 15 bytes (prctl(2), `PR_SET_NAME`).
pub(crate) fn set_name(name: &CStr) {
    let _ = rustix::thread::set_name(name);
}

/// Moves bytes from a pipe into another without blocking; returns how many.
pub(crate) fn splice(from: &OwnedFd, to: &OwnedFd, bytes: usize) -> Result<usize, Errno> {
    rustix::pipe::splice(from, None, to, None, bytes, SpliceFlags::NONBLOCK)
}

/// Notes in a stream which process group reads it, for whoever inherits its write end. A signal goes there only where somebody
/// asks for it (fcntl(2), `F_SETOWN`, `O_ASYNC`).
#[allow(unsafe_code)]
pub fn set_readers(stream: impl AsFd, group: Pid) {
    // SAFETY: a number is noted in an open file.
    unsafe { libc::fcntl(stream.as_fd().as_raw_fd(), libc::F_SETOWN, -group.as_raw_nonzero().get()) };
}

/// The process group that was noted in it, while it lives.
#[allow(unsafe_code)]
pub fn readers(stream: impl AsFd) -> Option<u32> {
    // SAFETY: a number is asked for.
    let owner = unsafe { libc::fcntl(stream.as_fd().as_raw_fd(), libc::F_GETOWN) };
    // -1 is an error, and no group that anybody reads in.
    (owner < -1).then_some(owner.unsigned_abs())
}

/// How a directory is opened on the way to another one: without the right to read it.
pub(crate) const SEARCH: OFlags = OFlags::PATH;

/// The extended attribute that is a file's access control list (acl(5)).
const ACL: &CStr = c"system.posix_acl_access";

/// Reads the access control list of a file as the kernel has it; its length, 0 where there is none.
pub(crate) fn read_acl(file: &OwnedFd, room: &mut [u8]) -> Result<usize, Errno> {
    match rustix::fs::fgetxattr(file, ACL, room) {
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(0),
        result => result,
    }
}

/// Gives a file that access control list, or takes it away.
pub(crate) fn write_acl(file: &OwnedFd, list: &[u8]) -> Result<(), Errno> {
    if !list.is_empty() {
        return rustix::fs::fsetxattr(file, ACL, list, rustix::fs::XattrFlags::empty());
    }
    match rustix::fs::fremovexattr(file, ACL) {
        Err(Errno::NODATA | Errno::NOTSUP) => Ok(()),
        result => result,
    }
}

/// The last path of an open directory that was removed (proc(5)).
pub(crate) fn removed_path<'a>(directory: &OwnedFd, room: &'a mut [u8]) -> Option<&'a [u8]> {
    let link = link_of(directory.as_fd())?;
    let length =
        rustix::fs::readlinkat_raw(rustix::fs::CWD, CStr::from_bytes_until_nul(&link).ok()?, &mut *room).ok()?;
    room.get(..length)?.strip_suffix(b" (deleted)")
}

/// The path by which /proc names what a descriptor of ours leads to, ended by a NUL.
fn link_of(place: rustix::fd::BorrowedFd<'_>) -> Option<[u8; 40]> {
    let mut room = [0; 40];
    write!(Buffer::new(&mut room), "/proc/self/fd/{}\0", place.as_raw_fd()).ok()?;
    Some(room)
}

/// A process sleeps so long.
pub(crate) fn sleep(time: &rustix::event::Timespec) {
    let none: &mut [PollFd<'_>] = &mut [];
    let _ = poll(none, Some(time));
}

#[cfg(test)]
#[allow(unsafe_code)]
mod tests {
    use super::*;
    use std::os::fd::IntoRawFd;

    #[test]
    fn what_proc_lists_in_the_range_is_closed() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let copy = |least| rustix::io::fcntl_dupfd_cloexec(&file, least).unwrap().into_raw_fd();
        let copies = [700, 710, 720, 730].map(copy);
        close_listed(copies[1], copies[2]).unwrap();
        // SAFETY: asks about numbers that are this test's.
        let is_open = |number: RawFd| unsafe { libc::fcntl(number, libc::F_GETFD) } != -1;
        assert_eq!(copies.map(is_open), [true, false, false, true]);
    }
}
