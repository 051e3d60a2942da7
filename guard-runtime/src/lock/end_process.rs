//! The end of this process, from inside.

/// What a shell shows of a process that SIGKILL ended.
pub(super) const KILLED: i32 = 128 + libc::SIGKILL;

/// Asks the process to end. For a first process no signal has a default (`pid_namespaces(7)`): it ends here as others do,
/// unless it looks after SIGTERM itself.
#[allow(unsafe_code)]
pub(super) fn terminate() {
    // SAFETY: all zeroes is an action, which is only written; the signals go to this process.
    unsafe {
        if std::process::id() == 1 {
            let mut action: libc::sigaction = std::mem::zeroed();
            libc::sigaction(libc::SIGTERM, std::ptr::null(), &raw mut action);
            if action.sa_sigaction == libc::SIG_DFL && !is_blocked_in_main(libc::SIGTERM) {
                libc::_exit(128 + libc::SIGTERM);
            }
        }
        libc::kill(libc::getpid(), libc::SIGTERM);
    }
}

/// The first thread waits for it some other way, as sigwait(3) and signalfd(2) ask for.
fn is_blocked_in_main(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigBlk:"));
    let mask = mask.and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
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
