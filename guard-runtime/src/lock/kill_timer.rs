//! A timer of the kernel's that ends this process: it fires though every thread is stopped or starved.

use std::sync::atomic::{AtomicU64, Ordering};

use super::clock::Time;
use super::end_process::KILLED;
use crate::region::Region;

/// Ends the process when its time comes, unless it is set anew before. Gone with the process, with exec(2), and in a
/// forked child.
pub(super) struct KillTimer {
    id: libc::timer_t,
    signal: i32,
    /// When, for the helpers: in memory that they share. Microseconds since the boot, 0 where it is not set.
    told: &'static AtomicU64,
    _memory: Region,
}

// SAFETY: a timer's number means the same to every thread.
#[allow(unsafe_code)]
unsafe impl Send for KillTimer {}
// SAFETY: the kernel serialises the calls on it.
#[allow(unsafe_code)]
unsafe impl Sync for KillTimer {}

#[allow(unsafe_code)]
impl KillTimer {
    /// One that is not set yet.
    ///
    /// # Errors
    /// Where the kernel has no timer left, or no signal for it.
    pub(super) fn new() -> Result<Self, String> {
        let memory = Region::shared(4096);
        let mut memory = memory.map_err(|error| format!("no memory can be shared with the helpers: {error}"))?;
        let told = memory.place(AtomicU64::new(0));
        // A first process takes no SIGKILL from inside its namespace, nor any signal that has no handler
        // (pid_namespaces(7)).
        let signal = if std::process::id() == 1 { handled_signal()? } else { libc::SIGKILL };
        // SAFETY: all zeroes is an event.
        let mut event: libc::sigevent = unsafe { std::mem::zeroed() };
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = signal;
        let mut id = std::ptr::null_mut();
        // SAFETY: reads the event, writes the number.
        if unsafe { libc::timer_create(libc::CLOCK_BOOTTIME, &raw mut event, &raw mut id) } == -1 {
            let error = std::io::Error::last_os_error();
            return Err(format!("the kernel gives no timer (timer_create): {error}"));
        }
        Ok(Self { id, signal, told, _memory: memory })
    }

    /// Ends the process then; what was set before counts no more.
    pub(super) fn set(&self, then: Time) {
        self.set_to(then.micros());
    }

    /// When it is to end the process, as the helpers see it. Gone with this value, but in them.
    #[allow(clippy::unnecessary_wraps, reason = "elsewhere there is no such time")]
    pub(super) fn told(&self) -> Option<&'static AtomicU64> {
        Some(self.told)
    }

    /// Has the calling thread take the signal, though every other thread may block it. SIGKILL needs nobody.
    pub(super) fn be_heard_here(&self) {
        // SAFETY: the set is initialised by the first call; the last one is told a signal's number and where the set is.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, self.signal);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
        }
    }

    pub(super) fn unset(&self) {
        self.set_to(0);
    }

    fn set_to(&self, micros: u64) {
        // SAFETY: all zeroes is a time, which switches the timer off.
        let mut value: libc::itimerspec = unsafe { std::mem::zeroed() };
        value.it_value.tv_sec = (micros / 1_000_000) as libc::time_t;
        value.it_value.tv_nsec = (micros % 1_000_000 * 1_000) as _;
        // SAFETY: the timer is this value's, the time is read.
        unsafe { libc::timer_settime(self.id, libc::TIMER_ABSTIME, &raw const value, std::ptr::null_mut()) };
        self.told.store(micros, Ordering::Release);
    }
}

impl Drop for KillTimer {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        // SAFETY: the timer is this value's.
        unsafe { libc::timer_delete(self.id) };
    }
}

/// A real-time signal that nobody uses, whose handler ends the process. Once a process.
#[allow(unsafe_code)]
fn handled_signal() -> Result<i32, String> {
    extern "C" fn end(_: libc::c_int) {
        // SAFETY: async-signal-safe, and does not return.
        unsafe { libc::_exit(KILLED) }
    }
    static SIGNAL: std::sync::OnceLock<Option<i32>> = std::sync::OnceLock::new();
    let find = || {
        (libc::SIGRTMIN()..=libc::SIGRTMAX()).rev().find(|&signal| {
            // SAFETY: all zeroes is an action, written by the first call and read by the second.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                if libc::sigaction(signal, std::ptr::null(), &raw mut action) == -1
                    || action.sa_sigaction != libc::SIG_DFL
                {
                    return false;
                }
                action.sa_sigaction = end as *const () as usize;
                action.sa_flags = libc::SA_ONSTACK;
                libc::sigaction(signal, &raw const action, std::ptr::null_mut()) == 0
            }
        })
    };
    SIGNAL.get_or_init(find).ok_or_else(|| {
        "this is the first process of its PID namespace, which only a signal with a handler can end, and no real-time signal \
         is free for one"
            .into()
    })
}
