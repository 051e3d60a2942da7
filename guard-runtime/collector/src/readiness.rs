//! What poll(2) says of a descriptor at once.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;

pub(crate) const AT_ONCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// Whether there is input, or an end, within that time. Of the descriptor of a process: whether it has died.
pub(crate) fn is_ready_within(descriptor: &OwnedFd, time: &Timespec) -> bool {
    poll(&mut [PollFd::new(descriptor, PollFlags::IN)], Some(time)) != Ok(0)
}

/// A pipe or terminal from which nothing more will come.
pub(crate) fn has_hung_up(reader: &OwnedFd) -> bool {
    look_at(reader) == PollFlags::HUP
}

/// Somebody can write to it.
pub(crate) fn has_writers(reader: &OwnedFd) -> bool {
    !look_at(reader).contains(PollFlags::HUP)
}

/// What a wait for input would end with at once.
pub(crate) fn look_at(reader: &OwnedFd) -> PollFlags {
    let mut polled = [PollFd::new(reader, PollFlags::IN)];
    let _ = poll(&mut polled, Some(&AT_ONCE));
    let [polled] = polled;
    polled.revents()
}
