//! The kernel: what differs between systems. `linux.rs` has what Linux offers, `portable.rs` the same functions for every
//! other Unix; `--cfg guard_portable` selects the latter on Linux too, so that it can be tested there.

use core::ffi::CStr;

use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::Pid;

#[cfg(all(target_os = "linux", not(guard_portable)))]
mod linux;
#[cfg(all(target_os = "linux", not(guard_portable)))]
mod memory;
#[cfg(all(target_os = "linux", not(guard_portable)))]
pub use linux::*;
#[cfg(all(target_os = "linux", not(guard_portable)))]
pub(crate) use memory::Kept;
#[cfg(not(all(target_os = "linux", not(guard_portable))))]
mod portable;
#[cfg(not(all(target_os = "linux", not(guard_portable))))]
pub use portable::*;

/// Whose child a new helper is.
#[derive(Clone, Copy, Debug)]
pub enum Parent {
    /// The caller's, and the first of a session of its own: a signal to the caller's process group does not meet it, nor
    /// those that it forks. Where the system takes two forks for it, the process between them is the first.
    Caller,
    /// The caller's parent's: so every helper of a run is a child of the run, none of another helper, and no death
    /// among them hands a process to a subreaper whose `wait` loop it would keep from ending.
    CallersParent,
}

/// The descriptors in a socket's queue.
pub(crate) type Ends = [Option<OwnedFd>; 2];

/// What a look at them does.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "there is no queue"))]
pub(crate) enum Look {
    Copy,
    Remove,
}

/// Ends a helper at once: no `atexit` handler, no destructor.
#[allow(unsafe_code)]
pub fn exit(code: i32) -> ! {
    // SAFETY: _exit does not return and touches no memory of ours.
    unsafe { libc::_exit(code) }
}

/// Microseconds of a clock. By the C library, whose pointer into the vDSO survives that a helper lets go of its memory.
#[inline]
#[allow(unsafe_code)]
pub(crate) fn clock(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: it is written by the call.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

fn last_errno() -> Errno {
    // Read by the C library's own function: std is not here to do it.
    Errno::from_raw_os_error(errno())
}

#[allow(unsafe_code)]
fn errno() -> i32 {
    // SAFETY: each gives the address of this thread's errno.
    unsafe {
        #[cfg(any(target_os = "linux", target_os = "emscripten", target_os = "redox"))]
        return *libc::__errno_location();
        #[cfg(any(target_os = "macos", target_os = "ios", target_os = "freebsd", target_os = "dragonfly"))]
        return *libc::__error();
        #[cfg(any(target_os = "netbsd", target_os = "openbsd", target_os = "android"))]
        return *libc::__errno();
        #[cfg(any(target_os = "illumos", target_os = "solaris"))]
        return *libc::___errno();
    }
}

/// Reads a small file of a kernel's file system; how many bytes there were, as far as they fit. `None` where it cannot be
/// opened or read. Takes no memory.
pub fn read_small(path: &CStr, buffer: &mut [u8]) -> Option<usize> {
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    read_all(&file, buffer).ok()
}

/// Reads to the end, or as far as there is room; how many bytes there were.
pub(crate) fn read_all(file: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut length = 0;
    while let Some(room) = buffer.get_mut(length..).filter(|room| !room.is_empty()) {
        match rustix::io::read(file, room) {
            Ok(0) => break,
            Ok(count) => length += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// A double fork: the helper becomes a child of init, which reaps it. Returns the pid of the process between the two, which is
/// the helpers' process group where [`Parent::Caller`] has made it one.
#[allow(unsafe_code)]
fn double_fork(parent: Parent) -> Result<Option<Pid>, Errno> {
    // SAFETY: the child makes only system calls and ends in _exit.
    match unsafe { libc::fork() } {
        -1 => Err(last_errno()),
        0 => {
            start_session(parent);
            // SAFETY: as above.
            match unsafe { libc::fork() } {
                -1 => exit(1),
                0 => Ok(None),
                _ => exit(0),
            }
        }
        pid => {
            let mut status = 0;
            // SAFETY: waits for the child forked above, which ends at once.
            while unsafe { libc::waitpid(pid, &raw mut status, 0) } == -1 && last_errno() == Errno::INTR {}
            if status == 0 { Ok(Pid::from_raw(pid)) } else { Err(Errno::AGAIN) }
        }
    }
}

/// In the new process.
fn start_session(parent: Parent) {
    if matches!(parent, Parent::Caller) {
        let _ = rustix::process::setsid();
    }
}

/// Closes the descriptors of the range, one number after the other.
#[allow(unsafe_code)]
fn close_one_by_one(first: i32, last: i32) {
    // SAFETY: sysconf reads a limit.
    let limit = unsafe { libc::sysconf(libc::_SC_OPEN_MAX) };
    let last = last.min(i32::try_from(limit).unwrap_or(i32::MAX).saturating_sub(1));
    for descriptor in first..=last {
        // SAFETY: the descriptors of this range belong to nobody in this process.
        unsafe { libc::close(descriptor) };
    }
}
