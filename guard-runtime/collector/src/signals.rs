//! Signals, blocked for a moment.

use core::mem::MaybeUninit;

/// As long as this lives, the calling thread takes no signal (but those that cannot be blocked).
pub struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    /// None, until this is dropped.
    pub fn all() -> Self {
        Self::all_but(&[])
    }

    /// All but those that would end the process: it can be ended then, whatever it waits for.
    #[allow(unsafe_code)]
    pub fn all_but_deadly() -> Self {
        let mut deadly = [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGALRM];
        for signal in &mut deadly {
            let mut action = MaybeUninit::<libc::sigaction>::zeroed();
            // SAFETY: the action is written, and all zeroes is one.
            let action = unsafe {
                libc::sigaction(*signal, core::ptr::null(), action.as_mut_ptr());
                action.assume_init()
            };
            if action.sa_sigaction != libc::SIG_DFL {
                *signal = 0;
            }
        }
        Self::all_but(&deadly)
    }

    /// A 0 is no signal.
    #[allow(unsafe_code)]
    fn all_but(open: &[libc::c_int]) -> Self {
        let mut everything = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigfillset initialises the set it is given.
        unsafe { libc::sigfillset(everything.as_mut_ptr()) };
        for signal in open.iter().filter(|signal| **signal != 0) {
            // SAFETY: the set was initialised above.
            unsafe { libc::sigdelset(everything.as_mut_ptr(), *signal) };
        }
        // SAFETY: the first set was filled above, the second is written by the call.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, everything.as_ptr(), before.as_mut_ptr()) };
        // SAFETY: written by the call, which fails only for an unknown first argument.
        Self { before: unsafe { before.assume_init() } }
    }
}

impl Drop for Blocked {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: the set was written by the system.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, core::ptr::null_mut()) };
    }
}

/// Runs `action` so that a file that would pass the process' limit (`RLIMIT_FSIZE`) is an error in it and not a signal, which
/// would end the program.
#[allow(unsafe_code)]
pub fn without_size_signal<T>(action: impl FnOnce() -> T) -> T {
    let _blocked = Blocked::all();
    let result = action();
    let mut signals = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: the set is written before it is read. sigwait takes what is pending, so it does not wait.
    unsafe {
        libc::sigpending(signals.as_mut_ptr());
        if libc::sigismember(signals.as_ptr(), libc::SIGXFSZ) == 1 {
            libc::sigemptyset(signals.as_mut_ptr());
            libc::sigaddset(signals.as_mut_ptr(), libc::SIGXFSZ);
            libc::sigwait(signals.as_ptr(), &mut 0);
        }
    }
    result
}
