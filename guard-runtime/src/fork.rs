//! What a child that the user's code forks (without exec) must not keep: it would hold its parent's lock after the parent
//! is gone, or hide the parent's end from the collector. Its copies are closed before the fork returns in it.

use std::os::fd::RawFd;
use std::sync::Once;
use std::sync::atomic::{AtomicI32, Ordering};

const FREE: i32 = -1;

/// More than the locks and runs that a process has at a time; what finds no place here is kept by the child.
static CLOSED_IN_CHILD: [AtomicI32; 64] = [const { AtomicI32::new(FREE) }; 64];

/// A descriptor that a forked child closes, as long as this lives.
#[derive(Debug)]
pub(crate) struct ClosedInChild(Option<&'static AtomicI32>);

impl ClosedInChild {
    pub(crate) fn new(descriptor: RawFd) -> Self {
        install_handler();
        let claimed =
            |slot: &&AtomicI32| slot.compare_exchange(FREE, descriptor, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        Self(CLOSED_IN_CHILD.iter().find(claimed))
    }
}

impl Drop for ClosedInChild {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.store(FREE, Ordering::Release);
        }
    }
}

#[allow(unsafe_code)]
fn install_handler() {
    extern "C" fn in_child() {
        for slot in &CLOSED_IN_CHILD {
            let descriptor = slot.swap(FREE, Ordering::AcqRel);
            if descriptor != FREE {
                // SAFETY: the child's copy; what owns it sees by its pid that it is not the child's to use.
                unsafe { libc::close(descriptor) };
            }
        }
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler exchanges atomics and closes descriptors, both async-signal-safe, as fork(2) asks.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}
