//! Signals, held off for a moment.

use std::mem::MaybeUninit;

/// As long as this lives, the calling thread takes no signal (but those that cannot be blocked).
pub(crate) struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    #[allow(unsafe_code)]
    pub(crate) fn new() -> Self {
        let mut everything = MaybeUninit::<libc::sigset_t>::uninit();
        let mut before = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigfillset initialises the set it is given.
        unsafe { libc::sigfillset(everything.as_mut_ptr()) };
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
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.before, std::ptr::null_mut()) };
    }
}
