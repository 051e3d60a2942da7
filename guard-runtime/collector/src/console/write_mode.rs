//! The ways in which a console is written to without being stalled by it.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::{SendFlags, SocketType};
use rustix::pipe::PIPE_BUF;

use crate::sys::{self};

/// How it is written to without being stalled by it.
pub(super) enum WriteMode {
    /// Files and devices such as /dev/null do not stall, and what was opened anew says when it would.
    Direct,
    Spliced(PrivatePipe),
    /// A socket: each call says that it is not to wait.
    Sent,
    /// After a poll, no more than fits for sure.
    Polled,
}

impl WriteMode {
    /// Writes as much as there is room for, and returns how much that was.
    pub(super) fn write(&mut self, descriptor: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
        match self {
            Self::Direct => write_directly(descriptor, bytes),
            Self::Spliced(pipe) => pipe.splice(descriptor, bytes),
            Self::Sent => send(descriptor, bytes),
            Self::Polled => write_polled(descriptor, bytes),
        }
    }
}

/// A socket on which the borders between two writes mean nothing.
pub(super) fn is_stream_socket(descriptor: &OwnedFd) -> bool {
    rustix::net::sockopt::socket_type(descriptor) == Ok(SocketType::STREAM)
}

fn send(descriptor: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    let mut sent = 0;
    while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
        match rustix::net::send(descriptor, rest, SendFlags::DONTWAIT) {
            Ok(count) => sent += count,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sent)
}

fn write_directly(descriptor: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match rustix::io::write(descriptor, rest) {
            Ok(0) => return Err(Errno::NOSPC),
            Ok(count) => written += count,
            Err(Errno::INTR) => {}
            // Somebody else made the shared description non-blocking: the rest waits like any other.
            Err(Errno::AGAIN) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}

/// So much at once where only a poll says that there is room.
const POLLED_WRITE: usize = 256;

fn write_polled(descriptor: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        let mut polled = [PollFd::new(descriptor, PollFlags::OUT)];
        if poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0) {
            break;
        }
        let count = write_directly(descriptor, rest.get(..POLLED_WRITE).unwrap_or(rest))?;
        written += count;
        if count == 0 {
            break;
        }
    }
    Ok(written)
}

/// A pipe of our own before the console's: splice(2) moves pages from a pipe only.
pub(super) struct PrivatePipe {
    pub(super) reader: OwnedFd,
    pub(super) writer: OwnedFd,
    /// What it takes when it is empty: less than usual for a user whose pipes have reached their limit (pipe(7)).
    pub(super) room: usize,
    /// What it holds.
    pub(super) inside: usize,
}

impl PrivatePipe {
    pub(super) fn new() -> Result<Self, Errno> {
        let (reader, writer) = sys::pipe()?;
        let room = sys::pipe_capacity(&writer);
        Ok(Self { reader, writer, room, inside: 0 })
    }

    /// How many bytes were taken. Those that are still inside count: nothing but the console takes them out.
    fn splice(&mut self, console: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
        let mut written = 0;
        loop {
            if self.inside == 0 {
                let rest = bytes.get(written..).unwrap_or_default();
                if rest.is_empty() {
                    return Ok(written);
                }
                // It is empty, so this does not block.
                self.inside = write_directly(&self.writer, rest.get(..self.room).unwrap_or(rest))?;
                written += self.inside;
            }
            match sys::splice(&self.reader, console, self.inside) {
                Ok(count) => self.inside -= count.min(self.inside),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(written),
                // No splice here (a sandbox, a pipe opened for appending): by hand, at the risk of a stall.
                Err(Errno::INVAL | Errno::NOSYS | Errno::PERM) => self.copy_some(console)?,
                Err(error) => return Err(error),
            }
        }
    }

    fn copy_some(&mut self, console: &OwnedFd) -> Result<(), Errno> {
        let mut buffer = [0; PIPE_BUF];
        let count = rustix::io::read(&self.reader, &mut buffer)?;
        let mut rest = buffer.get(..count).unwrap_or_default();
        while !rest.is_empty() {
            let written = write_directly(console, rest)?;
            rest = rest.get(written..).unwrap_or_default();
            if !rest.is_empty() {
                let _ = poll(&mut [PollFd::new(console, PollFlags::OUT)], None);
            }
        }
        self.inside -= count.min(self.inside);
        Ok(())
    }
}
