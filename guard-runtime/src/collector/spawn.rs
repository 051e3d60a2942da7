//! Processes: how a helper is forked from a program that may have threads, and what it keeps.

use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd;
use std::os::fd::RawFd;

use rustix::process::Pid;

use super::signals::Blocked;

/// Whose child a new helper is.
#[derive(Clone, Copy)]
pub(crate) enum Parent {
    /// The caller's.
    Caller,
    /// The caller's parent's: so every helper of a run is a child of the run, none of another helper, and no death
    /// among them hands a process to a subreaper whose `wait` loop it would keep from ending.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "needs clone(2)"))]
    CallersParent,
}

/// Forks a helper that runs `body` and ends. In it every signal stays blocked: no handler of the user's ever runs
/// there, a write to a broken pipe is an error and not a death, and a terminal's Ctrl-C is not for it.
///
/// `body` must not allocate, free, take a lock or return: other threads of the caller may have held any lock at the
/// fork. It ends in [`exit`].
///
/// # Errors
/// As clone(2) and fork(2): `EAGAIN` at a process limit, `ENOMEM`.
pub(crate) fn spawn(parent: Parent, body: impl FnOnce()) -> io::Result<Pid> {
    let _blocked = Blocked::all();
    if let Some(child) = fork(parent)? {
        return Ok(child);
    }
    // A panic would unwind into the code that we were forked from: it ends here instead.
    let _unwinding = ExitOnDrop;
    body();
    exit(70)
}

/// Ends a helper at once: no `atexit` handler, no destructor.
#[allow(unsafe_code)]
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: _exit does not return and touches no memory of ours.
    unsafe { libc::_exit(code) }
}

struct ExitOnDrop;

impl Drop for ExitOnDrop {
    fn drop(&mut self) {
        exit(70);
    }
}

/// On Linux a bare `clone` without an exit signal: plain `wait()` does not see the child, and no `pthread_atfork`
/// handler of the user's runs in it.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn fork(parent: Parent) -> io::Result<Option<Pid>> {
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
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        pid => Ok(Pid::from_raw(pid as i32)),
    }
}

/// Elsewhere a double fork: the helper becomes a child of init, which reaps it.
#[cfg(not(target_os = "linux"))]
#[allow(unsafe_code)]
fn fork(_: Parent) -> io::Result<Option<Pid>> {
    // SAFETY: the child makes only system calls and ends in _exit.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
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
            while unsafe { libc::waitpid(pid, &mut status, 0) } == -1
                && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
            {}
            if status == 0 { Ok(Pid::from_raw(pid)) } else { Err(io::Error::from_raw_os_error(libc::EAGAIN)) }
        }
    }
}

/// Closes every descriptor but those in `keep`: a helper that held an inherited pipe open would keep its reader (a CI
/// job, an ssh channel) waiting. Sorts `keep`.
pub(crate) fn close_all_but(keep: &mut [RawFd]) {
    keep.sort_unstable();
    let mut first = 0;
    for &descriptor in &*keep {
        if descriptor > first {
            close_range(first, descriptor - 1);
        }
        first = descriptor + 1;
    }
    close_range(first, RawFd::MAX);
}

/// Those that /proc lists: where a container has raised the limit to a thousand million, one by one would take minutes.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
fn close_listed(range: std::ops::RangeInclusive<RawFd>) -> Result<(), rustix::io::Errno> {
    use rustix::fs::{Mode, OFlags, RawDir, open};
    let directory = open(c"/proc/self/fd", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    let mut buffer = [std::mem::MaybeUninit::uninit(); 2048];
    let mut entries = RawDir::new(&directory, &mut buffer);
    while let Some(entry) = entries.next() {
        let number = entry?.file_name().to_str().ok().and_then(|name| name.parse::<RawFd>().ok());
        if let Some(number) = number.filter(|number| range.contains(number) && *number != directory.as_raw_fd()) {
            // SAFETY: as in `close_range`.
            unsafe { libc::close(number) };
        }
    }
    Ok(())
}

#[allow(unsafe_code)]
fn close_range(first: RawFd, last: RawFd) {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: the descriptors of this range belong to nobody in this process (see `close_all_but`).
        let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        // Linux before 5.9, and old sandboxes.
        if result == 0 || close_listed(first..=last).is_ok() {
            return;
        }
    }
    // One by one.
    // SAFETY: sysconf reads a limit.
    let limit = unsafe { libc::sysconf(libc::_SC_OPEN_MAX) };
    let last = last.min(RawFd::try_from(limit).unwrap_or(RawFd::MAX) - 1);
    for descriptor in first..=last {
        // SAFETY: as above.
        unsafe { libc::close(descriptor) };
    }
}

/// Reaps the helpers of a finished run, all of which are in the process group of the first. Says whether none is left;
/// `wait` waits until then.
pub(crate) fn reap(first: Pid, wait: bool) -> bool {
    #[cfg(target_os = "linux")]
    #[allow(unsafe_code)]
    loop {
        let flags = libc::__WALL | if wait { 0 } else { libc::WNOHANG };
        // SAFETY: no status is asked for.
        match unsafe { libc::waitpid(-first.as_raw_nonzero().get(), std::ptr::null_mut(), flags) } {
            0 => return false,
            -1 if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted => return true,
            _ => {}
        }
    }
    // Elsewhere they are init's children.
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (first, wait);
        true
    }
}

#[cfg(all(test, target_os = "linux"))]
#[allow(unsafe_code)]
mod tests {
    use super::*;
    use std::os::fd::IntoRawFd;

    #[test]
    fn what_proc_lists_in_the_range_is_closed() {
        let file = std::fs::File::open("/dev/null").unwrap();
        let copy = |least| rustix::io::fcntl_dupfd_cloexec(&file, least).unwrap().into_raw_fd();
        let copies = [700, 710, 720, 730].map(copy);
        close_listed(copies[1]..=copies[2]).unwrap();
        // SAFETY: asks about numbers that are this test's.
        let is_open = |number: RawFd| unsafe { libc::fcntl(number, libc::F_GETFD) } != -1;
        assert_eq!(copies.map(is_open), [true, false, false, true]);
    }
}
