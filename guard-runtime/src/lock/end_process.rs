//! The end of this process, from inside.

/// What a shell shows of a process that SIGKILL ended.
pub(super) const KILLED: i32 = 128 + libc::SIGKILL;

/// Asks the process to end. A first process has no default for a signal (`pid_namespaces(7)`): it ends here as others do.
#[allow(unsafe_code)]
pub(super) fn terminate() {
    // SAFETY: all zeroes is an action, which is only written; the signals go to this process.
    unsafe {
        if std::process::id() == 1 {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGTERM, std::ptr::null(), &raw mut action);
            if action.sa_sigaction == libc::SIG_DFL {
                libc::_exit(128 + libc::SIGTERM);
            }
        }
        libc::kill(libc::getpid(), libc::SIGTERM);
    }
}

/// Ends the process now.
#[allow(unsafe_code)]
pub(super) fn kill() -> ! {
    // SAFETY: the signal goes to this process; the second call does not return.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGKILL);
        libc::_exit(KILLED)
    }
}
