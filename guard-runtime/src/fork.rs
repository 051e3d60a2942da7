//! What a child that the user's code forks (without exec) must not keep: it would hold its parent's lock after the parent
//! is gone, or hide the parent's end from the collector. Its copies are closed before the fork returns in it.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use guard_collector::FileId;

const FREE: RawFd = -1;
const BEING_SET: RawFd = -2;

/// A descriptor, and what it led to at first: after user code has closed it, its number may be that of a file of the
/// user's, which the child is to keep.
struct Slot {
    descriptor: AtomicI32,
    device: AtomicU64,
    inode: AtomicU64,
}

/// More than the locks and runs that a process has at a time; what finds no place here is kept by the child.
static CLOSED_IN_CHILD: [Slot; 64] =
    [const { Slot { descriptor: AtomicI32::new(FREE), device: AtomicU64::new(0), inode: AtomicU64::new(0) } }; 64];

/// A descriptor that a forked child closes, as long as this lives.
#[derive(Debug)]
pub(crate) struct ClosedInChild(Option<&'static AtomicI32>);

impl ClosedInChild {
    pub(crate) fn new(descriptor: BorrowedFd<'_>) -> Self {
        install_handler();
        let Some(file) = FileId::of(descriptor) else { return Self(None) };
        let claim = |slot: &&Slot| {
            slot.descriptor.compare_exchange(FREE, BEING_SET, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        Self(CLOSED_IN_CHILD.iter().find(claim).map(|slot| {
            slot.device.store(file.device, Ordering::Relaxed);
            slot.inode.store(file.inode, Ordering::Relaxed);
            slot.descriptor.store(descriptor.as_raw_fd(), Ordering::Release);
            &slot.descriptor
        }))
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
            let descriptor = slot.descriptor.swap(FREE, Ordering::AcqRel);
            if descriptor < 0 {
                continue;
            }
            // SAFETY: only looked at; a number that leads nowhere is an error.
            let file = FileId::of(unsafe { BorrowedFd::borrow_raw(descriptor) });
            let first =
                FileId { device: slot.device.load(Ordering::Relaxed), inode: slot.inode.load(Ordering::Relaxed) };
            if file == Some(first) {
                // SAFETY: the child's copy; what owns it sees by its pid that it is not the child's to use.
                unsafe { libc::close(descriptor) };
            }
        }
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler exchanges atomics, looks at descriptors and closes them, all async-signal-safe, as fork(2)
        // asks.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}
