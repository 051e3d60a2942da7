//! Whether the run's cluster lock is lost: by its watcher's word, or by the clock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::clock::Time;

/// From when it counts as lost: microseconds since the boot.
static FROM: AtomicU64 = AtomicU64::new(NEVER);
const NEVER: u64 = u64::MAX;
const ALREADY: u64 = 0;
/// Whose run that is: in a forked child nobody goes on to ask the server for signs of life.
static HOLDER: AtomicU32 = AtomicU32::new(0);

/// Whether the run's cluster lock was lost: another run may hold it by now. False where there is no run, or none with
/// such a lock; a forked child is told what was known at the fork.
///
/// With `on_lock_lost = "tell"` this becomes true at most 2/3 of `cluster_timeout` after the last answered question was sent, by
/// a clock that goes on while the machine sleeps: also where no other thread has run since. Work that was begun before the
/// check may still be running when it does.
pub fn lock_lost() -> bool {
    let from = FROM.load(Ordering::Acquire);
    from == ALREADY || Time::now().micros() >= from && HOLDER.load(Ordering::Relaxed) == std::process::id()
}

/// There is none that could be lost.
pub(super) fn forget() {
    FROM.store(NEVER, Ordering::Release);
}

/// This process has one, which counts as lost from then on unless this is said again.
pub(super) fn note_due(time: Time) {
    HOLDER.store(std::process::id(), Ordering::Relaxed);
    FROM.store(time.micros(), Ordering::Release);
}

/// The watcher has noticed.
pub(super) fn note() {
    FROM.store(ALREADY, Ordering::Release);
}
