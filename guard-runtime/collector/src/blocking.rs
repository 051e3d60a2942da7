//! The write ends of the streams, held while the run lives. `O_NONBLOCK` belongs to a description, which all of the run's
//! processes share: one that sets it (ssh, node, asyncio) would cost the others what they print.
//!
//! A stream ends when nobody holds its write end, so no standby may have a copy, however late it gets to run. A fork would
//! give it one: so the ends lie in the queue of a socket, out of which the collector takes copies after the fork.

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, fcntl_dupfd_cloexec};

use crate::stdio::Stdio;
use crate::sys;

/// Descriptions that lead into the run's streams.
pub struct HeldEnds {
    /// `None` before the first fork, and where no socket can be had: `O_NONBLOCK` then stays as the run's processes set it.
    queue: Option<OwnedFd>,
    /// The collector's copies: one for each of two streams, or all of a single one.
    copies: sys::Ends,
}

impl HeldEnds {
    /// Of the streams' write ends, at most two.
    ///
    /// # Errors
    /// As fcntl(2) with `F_DUPFD_CLOEXEC`: `EMFILE`.
    pub fn new(ends: &[BorrowedFd<'_>]) -> Result<Self, Errno> {
        let mut copies = [None, None];
        for (copy, end) in copies.iter_mut().zip(ends) {
            *copy = Some(fcntl_dupfd_cloexec(end, 3)?);
        }
        Ok(Self { queue: None, copies })
    }

    /// For the first collector to keep.
    pub(crate) fn copies(&self) -> impl Iterator<Item = &OwnedFd> {
        self.copies.iter().flatten()
    }

    /// Copies them out of the queue.
    pub(crate) fn take_copies(&mut self) {
        self.copies = self.queue.as_ref().map_or([None, None], |queue| sys::ends_in(queue, sys::Look::Copy));
    }

    /// Before a fork. Before the first one they are put there: a short run ends without.
    pub(crate) fn leave_in_queue(&mut self) {
        if self.queue.is_none() {
            self.queue = match &self.copies {
                [Some(first), Some(second)] => sys::queue_of(&[first.as_fd(), second.as_fd()]),
                [Some(only), _] => sys::queue_of(&[only.as_fd()]),
                [None, _] => None,
            };
        }
        self.copies = [None, None];
    }

    /// The run has written its last: the end of the streams is to be seen.
    pub(crate) fn release(&mut self) {
        self.copies = [None, None];
        if let Some(queue) = self.queue.take() {
            // Out of the queue itself, of which the standby has a copy.
            drop(sys::ends_in(&queue, sys::Look::Remove));
        }
    }

    /// Whoever writes waits for room, as for a file. Before each read, and then only those of the stream that is read (`only`,
    /// where there are two streams): a line waits for this on its way to the console. A writer looks at the flag when it finds
    /// the pipe full. `FIONBIO` changes no other flag, so it undoes nobody's `F_SETFL`.
    pub(crate) fn make_blocking(&self, only: Option<Stdio>) {
        let ends = Stdio::ALL.into_iter().zip(&self.copies);
        let meant = ends.filter(|(stdio, _)| only.is_none_or(|only| only == *stdio));
        for end in meant.filter_map(|(_, end)| end.as_ref()) {
            let _ = rustix::io::ioctl_fionbio(end, false);
        }
    }

    /// There is something to be made blocking.
    pub(crate) fn has_copies(&self) -> bool {
        self.copies.iter().any(Option::is_some)
    }
}
