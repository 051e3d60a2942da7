//! The system calls of a hook's start, made without the C library where that may bind a symbol late.

use core::ffi::{CStr, c_char, c_int};

use rustix::fd::RawFd;
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions};

use super::Disposition;

/// A child that was cloned without an exit signal is waited for as well.
#[cfg(target_os = "linux")]
pub(super) const ANY_CHILD: WaitOptions = WaitOptions::from_bits_retain(libc::__WALL as _);
#[cfg(not(target_os = "linux"))]
pub(super) const ANY_CHILD: WaitOptions = WaitOptions::empty();

/// Why the last call failed. A word of this thread, read without a lock.
fn last_error() -> Errno {
    #[cfg(target_os = "linux")]
    use libc::__errno_location as place;
    #[cfg(any(target_os = "macos", target_os = "freebsd"))]
    use libc::__error as place;
    // SAFETY: the C library's word for this thread.
    Errno::from_raw_os_error(unsafe { *place() })
}

/// As fork(2): `None` in the child. No `pthread_atfork` handler runs.
#[cfg(target_os = "linux")]
pub(super) fn fork() -> Result<Option<Pid>, Errno> {
    let (flags, none) = (libc::SIGCHLD as libc::c_ulong, 0 as libc::c_ulong);
    // The order of the arguments differs by architecture (clone(2)).
    let [first, second] = if cfg!(target_arch = "s390x") { [none, flags] } else { [flags, none] };
    // SAFETY: without CLONE_VM this is fork: the child has its own copy of memory and goes on on its own stack.
    match unsafe { libc::syscall(libc::SYS_clone, first, second, none, none, none) } {
        -1 => Err(last_error()),
        pid => Ok(Pid::from_raw(pid as i32)),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn fork() -> Result<Option<Pid>, Errno> {
    // SAFETY: the child makes only system calls and ends in execve or _exit.
    match unsafe { libc::fork() } {
        -1 => Err(last_error()),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// By the kernel's own structure, of which every field is 0 but the handler: the first (on MIPS the second) word.
#[cfg(target_os = "linux")]
pub(super) fn set_disposition(signal: c_int, disposition: Disposition) {
    let mut action = [0_usize; 8];
    let place = usize::from(cfg!(any(target_arch = "mips", target_arch = "mips64")));
    if let Some(handler) = action.get_mut(place) {
        *handler = if disposition == Disposition::Ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    }
    let mask_size: usize = if cfg!(any(target_arch = "mips", target_arch = "mips64")) { 16 } else { 8 };
    // SAFETY: the kernel reads a structure that is shorter than `action`.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), 0_usize, mask_size) };
}

#[cfg(not(target_os = "linux"))]
pub(super) fn set_disposition(signal: c_int, disposition: Disposition) {
    let handler = if disposition == Disposition::Ignored { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: neither is a function of ours.
    unsafe { libc::signal(signal, handler) };
}

/// Lets every signal through again.
pub(super) fn unblock_signals() {
    #[cfg(target_os = "linux")]
    {
        let none = [0_u64; 2];
        let mask_size: usize = if cfg!(any(target_arch = "mips", target_arch = "mips64")) { 16 } else { 8 };
        // SAFETY: the kernel reads `mask_size` bytes of `none`.
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, none.as_ptr(), 0_usize, mask_size) };
    }
    #[cfg(not(target_os = "linux"))]
    {
        // SAFETY: an all-zero set is empty, and no set is returned.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &core::mem::zeroed(), core::ptr::null_mut()) };
    }
}

/// Makes `to` another number of `from`, which is a different one.
pub(super) fn duplicate(from: RawFd, to: RawFd) {
    // SAFETY: in the child no descriptor belongs to anybody else.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::syscall(libc::SYS_dup3, from, to, 0)
    };
    // SAFETY: as above.
    #[cfg(not(target_os = "linux"))]
    unsafe {
        libc::dup2(from, to)
    };
}

/// Closes every descriptor from `first` on. Where the kernel cannot (before Linux 5.9), execve closes them: all of a
/// helper's are close-on-exec.
pub(super) fn close_from(first: c_int) {
    #[cfg(target_os = "linux")]
    // SAFETY: in the child no descriptor belongs to anybody else.
    unsafe {
        libc::syscall(libc::SYS_close_range, first, c_int::MAX, 0)
    };
    #[cfg(not(target_os = "linux"))]
    let _ = first;
}

/// Returns only if it fails. Both arrays end in a null pointer.
pub(super) fn execute(program: &CStr, arguments: &[*const c_char], environment: &[*const c_char]) -> Errno {
    // SAFETY: strings that end in NUL, arrays that end in a null pointer, all of which outlive the call.
    #[cfg(target_os = "linux")]
    unsafe {
        libc::syscall(libc::SYS_execve, program.as_ptr(), arguments.as_ptr(), environment.as_ptr())
    };
    // SAFETY: as above.
    #[cfg(not(target_os = "linux"))]
    unsafe {
        libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr())
    };
    last_error()
}

/// Writes to standard error.
pub(super) fn write_error(text: &[u8]) {
    // SAFETY: the number is open, and nothing here closes it.
    let error = unsafe { rustix::fd::BorrowedFd::borrow_raw(2) };
    let _ = rustix::io::write(error, text);
}

/// Ends the process at once.
pub(super) fn exit(code: c_int) -> ! {
    loop {
        // SAFETY: does not return and touches no memory of ours.
        #[cfg(target_os = "linux")]
        unsafe {
            libc::syscall(libc::SYS_exit_group, code)
        };
        // SAFETY: as above.
        #[cfg(not(target_os = "linux"))]
        unsafe {
            libc::_exit(code)
        }
    }
}

/// Calls `visit` for each child of this process, as /proc shows them.
#[cfg(target_os = "linux")]
pub(super) fn for_each_child(mut visit: impl FnMut(Pid)) {
    use rustix::fs::{Mode, OFlags, RawDir, open, openat};
    let own = rustix::process::getpid();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(processes) = open(c"/proc", flags, Mode::empty()) else { return };
    let mut buffer = [core::mem::MaybeUninit::uninit(); 4096];
    let mut entries = RawDir::new(&processes, &mut buffer);
    while let Some(Ok(entry)) = entries.next() {
        let number = entry.file_name().to_str().ok().and_then(|name| name.parse().ok());
        let Some(pid) = number.and_then(Pid::from_raw) else { continue };
        let Ok(process) = openat(&processes, entry.file_name(), flags, Mode::empty()) else { continue };
        let Ok(stat) = openat(&process, c"stat", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) else { continue };
        let mut text = [0; 512];
        let Ok(length) = rustix::io::read(&stat, &mut text) else { continue };
        if parent_in_stat(text.get(..length).unwrap_or_default()) == Some(own.as_raw_nonzero().get()) {
            visit(pid);
        }
    }
}

/// Field 4, counted from the last `)`: the program's name before it may hold anything.
#[cfg(target_os = "linux")]
fn parent_in_stat(stat: &[u8]) -> Option<i32> {
    let rest = stat.get(memchr::memrchr(b')', stat)? + 1..)?;
    let mut fields = rest.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    core::str::from_utf8(fields.nth(1)?).ok()?.parse().ok()
}
