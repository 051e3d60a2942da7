//! Starts the helpers of a run: streams, memory, fork.

use std::ffi::CStr;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use guard_collector::protocol::{CLOSING_CAPACITY, Nonce};
use guard_collector::{
    Collector, FamilyMemory, HeldEnds, Journal, Limits, LogFile, MEMORY, Output, Parts, PerStdio, RunLink, RunStat,
    Shared, Stdio, Stream, StreamId, Survivors, VerdictMemory, same_place, sys,
};
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::choices::{ConsoleMode, Tee};
use crate::descriptor::above_standard;
use crate::link::{Link, StreamEnd};
use crate::lock::pid_namespace;
use crate::outer_run::writes_to;
use crate::pty;
use crate::region::Region;
use crate::verdict::Plan;

/// Room in a stream's pipe: the job goes on printing while the collector is busy.
const PIPE_ROOM: usize = 1024 * 1024;

/// What the helpers have to know of the run.
pub(crate) struct Terms<'a> {
    pub(crate) timeout: Option<Duration>,
    pub(crate) kill_after: Duration,
    /// The same where the run has lost its cluster lock.
    pub(crate) loss_grace: Duration,
    /// See [`Limits::kill_at`].
    pub(crate) kill_at: Option<&'static AtomicU64>,
    pub(crate) survivors: Survivors,
    /// Absolute.
    pub(crate) lock: &'a CStr,
    /// The lines of the lock's record that a helper's has too.
    pub(crate) record: &'a [u8],
}

impl Terms<'_> {
    /// Of memory that the helpers keep.
    fn lend(&self, streams: [Option<StreamId>; 2], private: &mut Region) -> Limits {
        let mut copy = |bytes: &[u8]| {
            let copy = private.lend(bytes.len());
            copy.copy_from_slice(bytes);
            &*copy
        };
        Limits {
            pid: rustix::process::getpid(),
            timeout: self.timeout.map(micros),
            kill_after: micros(self.kill_after),
            loss_grace: micros(self.loss_grace),
            kill_at: self.kill_at,
            survivors: self.survivors,
            streams,
            lock: CStr::from_bytes_with_nul(copy(self.lock.to_bytes_with_nul())).unwrap_or_default(),
            record: copy(self.record),
        }
    }

    fn size(&self) -> usize {
        self.lock.count_bytes() + self.record.len() + 256
    }
}

fn micros(duration: Duration) -> u64 {
    // Half of it: a deadline must not overflow.
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX).min(u64::MAX / 2)
}

/// Forks the helpers and returns the run's side of them. The standard descriptors are not touched yet.
///
/// # Errors
/// Whatever the system refuses: a pipe (`EMFILE`, `ENFILE`), memory (`ENOMEM`), the fork (`EAGAIN`, `ENOMEM`).
pub(crate) fn launch(
    log: LogFile,
    tee: Tee,
    console: ConsoleMode,
    nonce: Nonce,
    terms: &Terms<'_>,
    plan: Plan,
) -> io::Result<Link> {
    let originals = PerStdio { out: original(rustix::stdio::stdout())?, err: original(rustix::stdio::stderr())? };
    let one_place = same_place(rustix::stdio::stdout(), rustix::stdio::stderr());
    // What a collector is made of beside what it is lent; a page is more than that takes.
    let lent = MEMORY + FamilyMemory::PRIVATE + terms.size() + plan.memory();
    let mut private = Region::private(lent + size_of::<Collector>() + 4096)?;
    let lent = CLOSING_CAPACITY + FamilyMemory::SHARED;
    let mut shared = Region::shared(lent + size_of::<Journal>() + size_of::<VerdictMemory>() + 4096)?;
    let mut no_terminal = None;
    let mut stream = |stdio, serves| new_stream(stdio, &originals, serves, &mut no_terminal, &mut private);
    let only = |stdio| PerStdio { out: stdio == Stdio::Out, err: stdio == Stdio::Err };
    let both = PerStdio { out: true, err: true };
    let (out, err) = match (tee, one_place) {
        (Tee::Both, true) => (stream(Stdio::Out, both)?, None),
        (Tee::Both, false) => (stream(Stdio::Out, only(Stdio::Out))?, Some(stream(Stdio::Err, only(Stdio::Err))?)),
        (Tee::Stdout, _) => (stream(Stdio::Out, only(Stdio::Out))?, None),
        (Tee::None, _) => (stream(Stdio::Out, PerStdio::default())?, None),
    };
    let (out, mut ends) = (out.0, vec![out.1]);
    let err = err.map(|(stream, end)| {
        ends.push(end);
        stream
    });
    let held_ends = ends.iter().flat_map(StreamEnd::descriptions).collect::<Vec<_>>();
    let held_ends = HeldEnds::new(&held_ends)?;
    let (control_reader, control) = pipe()?;
    let (replies, replies_writer) = pipe()?;
    let process = sys::own_process()?.map(above_standard).transpose()?;
    let is_pid_one = terms.timeout.is_some() && std::process::id() == 1;
    let (end_reader, end_request) =
        if is_pid_one { pipe().map(|(reader, writer)| (Some(reader), Some(writer)))? } else { (None, None) };
    let hold = console == ConsoleMode::OnFailure;
    // What is held back is not there to be written by another run.
    let is_outer =
        |console: &Option<OwnedFd>| !hold && console.as_ref().is_some_and(|console| writes_to(&log, console));
    let logged_outside = PerStdio { out: is_outer(&originals.out), err: is_outer(&originals.err) };
    let mut output = Output::new(log, originals, one_place, hold, &mut |bytes| private.lend(bytes))?;
    output.leave_to_outer_run(logged_outside);
    let closing = shared.lend(CLOSING_CAPACITY).try_into().map_err(io::Error::other)?;
    let memory = Shared::new(shared.place(Journal::default()), closing);
    let takes_helpers_along = is_first_of_a_namespace_or_its_child();
    let stat = (takes_helpers_along || ends.iter().any(StreamEnd::is_terminal)).then(RunStat::open).flatten();
    let run =
        RunLink { control: control_reader, replies: replies_writer, process, end_request, stat, takes_helpers_along };
    let nonce = private.place(nonce);
    let family = FamilyMemory::new(private.lend(FamilyMemory::PRIVATE), shared.lend(FamilyMemory::SHARED));
    let ids: Vec<_> = ends.iter().map(StreamEnd::id).collect();
    let limits = terms.lend([ids.first().copied().flatten(), ids.get(1).copied().flatten()], &mut private);
    let streams = PerStdio { out: Some(out), err };
    let verdict = plan.lend(&mut private, &mut shared);
    let parts = Parts { streams, held_ends, output, nonce, shared: memory, run, limits, family, verdict };
    let collector = private.place(Collector::new(parts));
    let first = guard_collector::spawn(collector, [private.range(), shared.range()]);
    // The run's copies of the helpers' descriptors are closed with it, and then their memory goes.
    // SAFETY: it was placed there and not dropped; nothing else refers to it.
    #[allow(unsafe_code)]
    unsafe {
        std::ptr::drop_in_place(collector);
    }
    let first = first?;
    // The helpers' process group, which the first one founds.
    ends.iter().flat_map(StreamEnd::descriptions).for_each(|end| sys::set_readers(end, first));
    Ok(Link::new(ends, control, replies, first, no_terminal, end_reader))
}

/// Of another namespace than the machine's own, whose first process does not end.
fn is_first_of_a_namespace_or_its_child() -> bool {
    /// `PROC_PID_INIT_INO` of Linux's `proc_ns.h`.
    const OF_THE_MACHINE: &str = "pid:[4026531836]";
    (std::process::id() == 1 || std::os::unix::process::parent_id() == 1)
        && !matches!(&*pid_namespace(), "" | OF_THE_MACHINE)
}

/// A pipe, or a pseudo-terminal in the place of a terminal; why there is none, where there should be.
fn new_stream(
    stdio: Stdio,
    originals: &PerStdio<Option<OwnedFd>>,
    serves: PerStdio<bool>,
    no_terminal: &mut Option<io::Error>,
    memory: &mut Region,
) -> io::Result<(Stream, StreamEnd)> {
    let original = |stdio| originals.get(stdio).as_ref().filter(|_| *serves.get(stdio));
    let served = original(Stdio::Out).or_else(|| original(Stdio::Err));
    let terminal = match served.filter(|place| rustix::termios::isatty(place)).map(pty::open_like) {
        Some(Ok(terminal)) => Some(terminal),
        Some(Err(error)) => {
            *no_terminal = Some(error);
            None
        }
        None => None,
    };
    let is_terminal = terminal.is_some();
    let mut real = None;
    let (reader, writer) = if let Some((reader, writer, tells)) = terminal {
        real = served.filter(|_| tells);
        (reader, writer)
    } else {
        let (reader, writer) = pipe()?;
        sys::widen_pipe(&writer, PIPE_ROOM);
        (reader, writer)
    };
    let copy = |stdio| original(stdio).map(OwnedFd::try_clone).transpose();
    let copies = PerStdio { out: copy(Stdio::Out)?, err: copy(Stdio::Err)? };
    // `O_NONBLOCK`, once a child has set it on one of the two, is not the other's then.
    let flags = if is_terminal { OFlags::RDWR } else { OFlags::WRONLY };
    let second = (serves.out && serves.err).then(|| sys::opened_anew(&writer, flags)).flatten();
    let second = second.map(above_standard).transpose()?;
    let end = StreamEnd::new(writer, is_terminal, second, serves, copies);
    Ok((Stream::new(reader, stdio, is_terminal, real, &mut |bytes| memory.lend(bytes)), end))
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = sys::pipe()?;
    Ok((above_standard(reader)?, above_standard(writer)?))
}

/// The place a standard descriptor leads to, or nothing where it is closed.
fn original(descriptor: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    match rustix::io::fcntl_dupfd_cloexec(descriptor, 3) {
        Ok(copy) => Ok(Some(copy)),
        Err(Errno::BADF) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
