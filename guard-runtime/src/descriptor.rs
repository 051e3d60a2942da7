//! Descriptors that live in the user's process, whose code may close every descriptor that it does not know.

use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use guard_collector::FileId;
use rustix::io::Errno;

use crate::fork::ClosedInChild;

/// A descriptor that is used and closed only while it leads where it led at first: after user code has closed it
/// (`closefrom(3)`), its number may be that of a file of the user's.
#[derive(Debug)]
pub(crate) struct Descriptor {
    inner: ManuallyDrop<OwnedFd>,
    identity: Option<FileId>,
    closed_in_child: Option<ClosedInChild>,
}

impl Descriptor {
    pub(crate) fn new(inner: OwnedFd) -> Self {
        Self { identity: FileId::of(&inner), inner: ManuallyDrop::new(inner), closed_in_child: None }
    }

    /// One of which a child that the user's code forks closes its copy.
    pub(crate) fn not_for_children(inner: OwnedFd) -> Self {
        let mut descriptor = Self::new(inner);
        descriptor.closed_in_child = Some(ClosedInChild::new(descriptor.inner.as_fd()));
        descriptor
    }

    /// Another descriptor leads where this one led at first.
    pub(crate) fn led_to(&self, other: impl AsFd) -> bool {
        self.identity.is_some() && FileId::of(other) == self.identity
    }

    /// Nobody has closed it.
    pub(crate) fn is_ours(&self) -> bool {
        self.closed_in_child.as_ref().is_none_or(ClosedInChild::is_ours) && self.led_to(self)
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inner.as_fd()
    }
}

impl Drop for Descriptor {
    #[allow(unsafe_code)]
    fn drop(&mut self) {
        let is_ours = self.is_ours();
        // First: once it is closed, the number may be that of a file which a child should keep.
        self.closed_in_child = None;
        if is_ours {
            // SAFETY: dropped once, here; where it is not ours any more it is left alone.
            unsafe { ManuallyDrop::drop(&mut self.inner) };
        }
    }
}

/// A descriptor out of the way of 0, 1 and 2, which the user's code may have closed.
pub(crate) fn above_standard(descriptor: OwnedFd) -> Result<OwnedFd, Errno> {
    if descriptor.as_raw_fd() > 2 { Ok(descriptor) } else { rustix::io::fcntl_dupfd_cloexec(&descriptor, 3) }
}
