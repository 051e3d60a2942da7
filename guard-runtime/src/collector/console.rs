//! The console: the descriptors that were standard output and standard error before the run.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use super::log_file::write_all;

/// One of the two. Written to as it is: `O_NONBLOCK` belongs to everyone who shares the description, and is not
/// ours to set or clear.
pub(crate) struct Console {
    descriptor: Option<OwnedFd>,
    /// Bytes gathered for the next write.
    gathered: Vec<u8>,
}

impl Console {
    pub(crate) fn new(descriptor: Option<OwnedFd>, room: usize) -> Self {
        Self { descriptor, gathered: Vec::with_capacity(room) }
    }

    pub(crate) fn descriptor(&self) -> Option<&OwnedFd> {
        self.descriptor.as_ref()
    }

    /// Gathers bytes; writes where there is no room left.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        if bytes.len() > self.gathered.capacity() - self.gathered.len() {
            self.flush()?;
        }
        if bytes.len() > self.gathered.capacity() {
            return self.write(bytes);
        }
        self.gathered.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes what was gathered, then `bytes`.
    pub(crate) fn flush_with(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.flush()?;
        self.write(bytes)
    }

    /// Writes what was gathered. An error ends the console's copy for good (a reader that went away does not come
    /// back) and is reported once.
    pub(crate) fn flush(&mut self) -> Result<(), Errno> {
        let gathered = std::mem::take(&mut self.gathered);
        let result = self.write(&gathered);
        self.gathered = gathered;
        self.gathered.clear();
        result
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        let Some(descriptor) = &self.descriptor else { return Ok(()) };
        let mut rest = bytes;
        while !rest.is_empty() {
            match write_all(descriptor, rest) {
                Ok(()) => break,
                // Somebody else made the shared description non-blocking.
                Err((written, Errno::AGAIN)) => {
                    rest = &rest[written..];
                    let _ = poll(&mut [PollFd::new(descriptor, PollFlags::OUT)], None);
                }
                Err((_, error)) => {
                    self.descriptor = None;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}
