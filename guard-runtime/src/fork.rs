//! What a child that the user's code forks (without exec) must not keep: it would hold its parent's lock after the parent
//! is gone, or hide the parent's end from the collector. Its copies are closed before the fork returns in it.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::Once;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use guard_collector::FileId;

const FREE: RawFd = -1;
/// Nobody's slot, and one that is being changed.
const NOBODY: u64 = 0;
const CHANGING: u64 = u64::MAX;

/// A descriptor, and what it led to at first: after user code has closed it, its number may be that of a file of the
/// user's, which the child is to keep.
struct Slot {
    /// Which [`ClosedInChild`] it is, counted from 1.
    owner: AtomicU64,
    descriptor: AtomicI32,
    device: AtomicU64,
    inode: AtomicU64,
}

impl Slot {
    fn file(&self) -> FileId {
        FileId { device: self.device.load(Ordering::Relaxed), inode: self.inode.load(Ordering::Relaxed) }
    }

    /// Frees it, where it is still that owner's.
    fn free(&self, owner: u64) {
        if self.owner.compare_exchange(owner, CHANGING, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            self.descriptor.store(FREE, Ordering::Release);
            self.owner.store(NOBODY, Ordering::Release);
        }
    }
}

/// More than the locks and runs that a process has at a time; what finds no place here is kept by the child.
static CLOSED_IN_CHILD: [Slot; 64] = [const {
    Slot {
        owner: AtomicU64::new(NOBODY),
        descriptor: AtomicI32::new(FREE),
        device: AtomicU64::new(0),
        inode: AtomicU64::new(0),
    }
}; 64];

/// A descriptor that a forked child closes, as long as this lives.
#[derive(Debug)]
pub(crate) struct ClosedInChild(Option<(usize, u64)>);

impl ClosedInChild {
    pub(crate) fn new(descriptor: BorrowedFd<'_>) -> Self {
        static OWNERS: AtomicU64 = AtomicU64::new(1);
        install_handler();
        let Some(file) = FileId::of(descriptor) else { return Self(None) };
        let (number, owner) = (descriptor.as_raw_fd(), OWNERS.fetch_add(1, Ordering::Relaxed));
        // The system gives a number out again only once it was closed: behind its owner's back, if that is here.
        for slot in CLOSED_IN_CHILD.iter().filter(|slot| slot.descriptor.load(Ordering::Acquire) == number) {
            slot.free(slot.owner.load(Ordering::Acquire));
        }
        let claim =
            |slot: &Slot| slot.owner.compare_exchange(NOBODY, CHANGING, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        let place = CLOSED_IN_CHILD.iter().position(claim);
        if let Some(slot) = place.and_then(|place| CLOSED_IN_CHILD.get(place)) {
            slot.device.store(file.device, Ordering::Relaxed);
            slot.inode.store(file.inode, Ordering::Relaxed);
            slot.descriptor.store(number, Ordering::Release);
            slot.owner.store(owner, Ordering::Release);
        }
        Self(place.map(|place| (place, owner)))
    }

    /// False in a forked child, and where its number belongs to a newer one.
    pub(crate) fn is_ours(&self) -> bool {
        self.0.is_none_or(|(place, owner)| {
            let slot = &CLOSED_IN_CHILD[place];
            slot.owner.load(Ordering::Acquire) == owner && slot.descriptor.load(Ordering::Acquire) != FREE
        })
    }
}

impl Drop for ClosedInChild {
    fn drop(&mut self) {
        if let Some((place, owner)) = self.0 {
            CLOSED_IN_CHILD[place].free(owner);
        }
    }
}

/// This process has it among those: though user code may have closed the descriptor, what it stands for is not given up.
pub(crate) fn has(file: FileId) -> bool {
    CLOSED_IN_CHILD.iter().any(|slot| slot.descriptor.load(Ordering::Acquire) != FREE && slot.file() == file)
}

#[allow(unsafe_code)]
fn install_handler() {
    extern "C" fn in_child() {
        for slot in &CLOSED_IN_CHILD {
            let descriptor = slot.descriptor.swap(FREE, Ordering::AcqRel);
            if descriptor == FREE {
                continue;
            }
            // SAFETY: only looked at; a number that leads nowhere is an error.
            let file = FileId::of(unsafe { BorrowedFd::borrow_raw(descriptor) });
            if file == Some(slot.file()) {
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
