//! The lock that all who write into one log take for a batch each: how long it is waited for.
//!
//! A busy peer lets go of it within moments, and whatever it does shows in the file; one that was stopped holds it for ever.

use core::mem;

use rustix::event::Timespec;
use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, flock, fstat};
use rustix::io::Errno;

use crate::stamp::monotonic;
use crate::sys;

/// A holder under whom the file does not grow for so many microseconds is taken for a stopped one.
const PATIENCE: u64 = 500_000;
/// The lock is waited for no longer, whatever others write meanwhile.
const MOST_PATIENCE: u64 = 5_000_000;
/// After a wait in vain it is only tried, once a batch: the job must not crawl behind a stopped peer. After this long the
/// peer may be another one, or go on again.
const WAIT_AGAIN: u64 = 30_000_000;
/// Between two tries.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

/// What became of the lock.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Locked {
    /// It is had.
    Yes,
    /// Waited for in vain, and nobody has written in that time.
    Stalled,
    /// Somebody has it, and may be in the middle of a write.
    No,
}

/// One writer's way to the lock.
#[derive(Default)]
pub(crate) struct LogLock {
    /// When it was waited for in vain.
    given_up: Option<u64>,
    /// At our last write somebody else had written since the one before.
    pub(crate) was_shared: bool,
}

impl LogLock {
    /// Takes the lock of the file, or gives up.
    pub(crate) fn take(&mut self, file: &OwnedFd) -> Locked {
        if mem::take(&mut self.was_shared) {
            // The others have their chance first, for nobody is served in turn.
            sys::sleep(&PAUSE);
        }
        let start = monotonic();
        let waits = self.given_up.is_none_or(|since| start > since + WAIT_AGAIN);
        let (mut size, mut moved) = (None, start);
        loop {
            match flock(file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::INTR) => continue,
                Err(Errno::WOULDBLOCK) if !waits => return Locked::No,
                Err(Errno::WOULDBLOCK) => {}
                // A file system without flock: nobody else can hold it either.
                Ok(()) | Err(_) => {
                    self.given_up = None;
                    return Locked::Yes;
                }
            }
            let now = monotonic();
            let found = fstat(file).ok().map(|stat| stat.st_size);
            if found != size {
                (size, moved) = (found, now);
            }
            if now > moved + PATIENCE || now > start + MOST_PATIENCE {
                self.given_up = Some(now);
                return if now > moved + PATIENCE { Locked::Stalled } else { Locked::No };
            }
            sys::sleep(&PAUSE);
        }
    }
}
