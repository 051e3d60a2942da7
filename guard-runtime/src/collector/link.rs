//! The run's side of the collector: the streams' write ends, the end handshake, the standard descriptors moved there
//! and back.

use std::os::fd::{AsFd, OwnedFd, RawFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::Pid;

use super::spawn;
use crate::frame::{Frame, HEADER, Nonce, write_header};

/// What the collector answers when log and console have everything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// ... and it ends now.
    Done = b'D' as isize,
    /// ... and it goes on for a child of the run that still holds a stream open.
    Lingers = b'L' as isize,
}

/// The write end of one stream, and the standard descriptors that it serves: what each led to before, if anything.
pub(super) struct StreamEnd {
    writer: OwnedFd,
    replaced: [Option<Option<OwnedFd>>; 2],
}

impl StreamEnd {
    pub(super) fn new(writer: OwnedFd, replaced: [Option<Option<OwnedFd>>; 2]) -> Self {
        Self { writer, replaced }
    }
}

pub(crate) struct Link {
    ends: Vec<StreamEnd>,
    control: OwnedFd,
    acknowledge: OwnedFd,
    first_helper: Pid,
}

impl Link {
    pub(super) fn new(ends: Vec<StreamEnd>, control: OwnedFd, acknowledge: OwnedFd, first_helper: Pid) -> Self {
        Self { ends, control, acknowledge, first_helper }
    }

    /// A descriptor of its own for records, in the stream of standard output.
    pub(crate) fn record_writer(&self) -> std::io::Result<OwnedFd> {
        self.ends[0].writer.try_clone()
    }

    /// To be closed in a forked child of the user's.
    pub(crate) fn control(&self) -> RawFd {
        super::number(&self.control)
    }

    /// Points the captured standard descriptors at the collector.
    pub(crate) fn capture(&self) -> Result<(), Errno> {
        for end in &self.ends {
            if end.replaced[0].is_some() {
                rustix::stdio::dup2_stdout(&end.writer)?;
            }
            if end.replaced[1].is_some() {
                rustix::stdio::dup2_stderr(&end.writer)?;
            }
        }
        Ok(())
    }

    /// Ends the run: puts the standard descriptors back, tells the collector how the run ended and waits until log and
    /// console have everything. Returns at once where no helper is left. `process_ends`: nobody will look for zombies.
    pub(crate) fn finish(self, nonce: &Nonce, closing_line: &[u8], process_ends: bool) {
        self.restore();
        let mut marker = [0; HEADER];
        write_header(&mut marker, nonce, &Frame::End);
        for end in self.ends {
            // Only the helpers' death makes this fail, and then nobody is there to be told.
            let _ = send(&end.writer, &marker);
            drop(end);
        }
        let _ = send(&self.control, closing_line);
        drop(self.control);
        let answer = loop {
            let mut byte = [0];
            match rustix::io::read(&self.acknowledge, &mut byte) {
                Err(Errno::INTR) => {}
                Ok(1) => break Some(byte[0]),
                Ok(_) | Err(_) => break None,
            }
        };
        let they_end = answer != Some(Answer::Lingers as u8);
        spawn::reap(self.first_helper, they_end && !process_ends);
    }

    /// Leaves alone what the user's code has pointed elsewhere meanwhile.
    pub(crate) fn restore(&self) {
        for end in &self.ends {
            if let Some(original) = &end.replaced[0]
                && same_place(rustix::stdio::stdout(), &end.writer)
            {
                match original {
                    Some(original) => drop(rustix::stdio::dup2_stdout(original)),
                    None => close_standard(1),
                }
            }
            if let Some(original) = &end.replaced[1]
                && same_place(rustix::stdio::stderr(), &end.writer)
            {
                match original {
                    Some(original) => drop(rustix::stdio::dup2_stderr(original)),
                    None => close_standard(2),
                }
            }
        }
    }
}

/// It was closed before the run, and is again.
#[allow(unsafe_code)]
fn close_standard(descriptor: RawFd) {
    // SAFETY: the descriptor leads to our stream, so nobody else has put anything of theirs there.
    unsafe { libc::close(descriptor) };
}

/// Both are open and lead to the same file, pipe, socket or terminal.
pub(super) fn same_place(one: impl AsFd, other: impl AsFd) -> bool {
    match (rustix::fs::fstat(one), rustix::fs::fstat(other)) {
        (Ok(one), Ok(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
        _ => false,
    }
}

/// Writes it all, also where the user's code has made the shared description non-blocking.
pub(crate) fn send(writer: &OwnedFd, bytes: &[u8]) -> Result<(), Errno> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::write(writer, rest) {
            Ok(written) => rest = &rest[written..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let _ = poll(&mut [PollFd::new(writer, PollFlags::OUT)], None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
