//! The collector: a small process of its own that reads what the run prints and writes it to the log and the console.
//! The kernel's pipe keeps what was written, so nothing is lost when the run is killed.
//!
//! Nothing in here knows the `log` crate, and nothing outside touches the log file.

mod console;
mod descriptor;
mod event_loop;
mod keeper;
mod lines;
mod link;
mod log_file;
mod output;
mod screen;
mod signals;
mod spawn;
mod stamp;
mod terminal;

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use crate::frame::Nonce;
use event_loop::{Collector, Stream};
use link::StreamEnd;
use output::Output;

pub(crate) use descriptor::{Descriptor, above_standard};
pub(crate) use lines::line;
pub(crate) use link::{FrameWriter, Link};
pub(crate) use log_file::{LogFile, file_kind};
pub(crate) use stamp::{now, text as stamp_text};

/// Room in a stream's pipe: the job goes on printing while the collector is busy. Best effort, since an ordinary
/// user's pipes share a limit (pipe(7), `pipe-user-pages-soft`).
const PIPE_ROOM: usize = 1024 * 1024;

/// Which raw streams are captured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tee {
    /// Standard output and standard error.
    #[default]
    Both,
    /// Standard output alone.
    Stdout,
    /// Neither: only `log` records reach the log.
    None,
}

/// Forks the collector and returns the run's side of it. The standard descriptors are not touched yet.
///
/// # Errors
/// Whatever the system refuses: a pipe (`EMFILE`, `ENFILE`), the fork (`EAGAIN`, `ENOMEM`).
pub(crate) fn start(log: LogFile, tee: Tee, nonce: Nonce) -> io::Result<Link> {
    let originals = [original(rustix::stdio::stdout())?, original(rustix::stdio::stderr())?];
    let one_place = descriptor::same_place(rustix::stdio::stdout(), rustix::stdio::stderr());
    let mut no_terminal = None;
    let (streams, ends) = match (tee, one_place) {
        (Tee::Both, true) => {
            let (stream, end) = stream(*b"OUT", &originals, [true, true], &mut no_terminal)?;
            ([Some(stream), None], vec![end])
        }
        (Tee::Both, false) => {
            let (stdout, stdout_end) = stream(*b"OUT", &originals, [true, false], &mut no_terminal)?;
            let (stderr, stderr_end) = stream(*b"ERR", &originals, [false, true], &mut no_terminal)?;
            ([Some(stdout), Some(stderr)], vec![stdout_end, stderr_end])
        }
        (Tee::Stdout | Tee::None, _) => {
            let (stream, end) = stream(*b"OUT", &originals, [tee == Tee::Stdout, false], &mut no_terminal)?;
            ([Some(stream), None], vec![end])
        }
    };
    let (control_reader, control) = pipe()?;
    let (acknowledge, acknowledge_writer) = pipe()?;
    let [stdout, stderr] = originals;
    let collector = Collector::new(
        streams,
        Output::new(log, [stdout, stderr], one_place)?,
        nonce,
        control_reader,
        acknowledge_writer,
        own_pidfd()?,
    );
    let first = spawn::spawn(spawn::Parent::Caller, || collector.start())?;
    Ok(Link::new(ends, control, acknowledge, first, no_terminal))
}

/// A pipe, or a pseudo-terminal in the place of a terminal; why there is none, where there should be.
fn stream(
    name: [u8; 3],
    originals: &[Option<OwnedFd>; 2],
    serves: [bool; 2],
    no_terminal: &mut Option<io::Error>,
) -> io::Result<(Stream, StreamEnd)> {
    let served = (0..2).filter(|&index| serves[index]).find_map(|index| originals[index].as_ref());
    let terminal = match served.filter(|place| rustix::termios::isatty(place)).map(terminal::open_like) {
        Some(Ok(terminal)) => Some(terminal),
        Some(Err(error)) => {
            *no_terminal = Some(error);
            None
        }
        None => None,
    };
    let is_terminal = terminal.is_some();
    let (reader, writer) = match terminal {
        Some(terminal) => terminal,
        None => pipe()?,
    };
    if !is_terminal {
        let _ = fcntl_setpipe_size(&writer, PIPE_ROOM);
    }
    let copy = |index: usize| originals[index].as_ref().filter(|_| serves[index]).map(OwnedFd::try_clone).transpose();
    let end = StreamEnd::new(FrameWriter::new(writer, is_terminal), serves, [copy(0)?, copy(1)?]);
    Ok((Stream::new(reader, name, is_terminal), end))
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((above_standard(reader)?, above_standard(writer)?))
}

/// The place a standard descriptor leads to, or nothing where it is closed.
fn original(descriptor: std::os::fd::BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    match rustix::io::fcntl_dupfd_cloexec(descriptor, 3) {
        Ok(copy) => Ok(Some(copy)),
        Err(Errno::BADF) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A descriptor that tells of this process's death, where the kernel has such. The end of the control pipe tells it
/// too, unless a forked child of the user's holds that open.
fn own_pidfd() -> io::Result<Option<OwnedFd>> {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{PidfdFlags, getpid, pidfd_open};
        match pidfd_open(getpid(), PidfdFlags::empty()) {
            Ok(pidfd) => Ok(Some(above_standard(pidfd)?)),
            Err(error @ (Errno::MFILE | Errno::NFILE)) => Err(error.into()),
            // Before Linux 5.3, or forbidden by a sandbox.
            Err(_) => Ok(None),
        }
    }
    #[cfg(not(target_os = "linux"))]
    Ok(None)
}

fn number(descriptor: &OwnedFd) -> RawFd {
    descriptor.as_raw_fd()
}
