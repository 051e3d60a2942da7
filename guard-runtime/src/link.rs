//! The run's side of the collector: the streams' write ends, the end handshake, the standard descriptors moved there
//! and back.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use guard_collector::protocol::{Reply, SAFE_CAPACITY, UNLOCKED, safe_form};
use guard_collector::sys::opened_anew;
use guard_collector::{Blocked, PerStdio, Stdio, StreamId, same_place, sys};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};

use crate::descriptor::Descriptor;
use crate::pid_one;

/// Writes frames into a stream.
pub(crate) struct FrameWriter {
    descriptor: Descriptor,
    is_terminal: bool,
    /// When the descriptor was last looked at (microseconds since 1970); none where that is done before each frame.
    looked: Option<AtomicU64>,
}

impl FrameWriter {
    /// Out of the way of user code that closes every descriptor and goes on to open files of its own, or lays a file over each
    /// number: no record shall land in those.
    fn new(stream: BorrowedFd<'_>, is_terminal: bool) -> std::io::Result<Self> {
        let copy = |least| rustix::io::fcntl_dupfd_cloexec(stream, least);
        let descriptor =
            beyond_limit(stream).or_else(|_| copy(HIGHEST - 1)).or_else(|_| copy(100)).or_else(|_| copy(3))?;
        let looked = (descriptor.as_raw_fd() >= FAR).then(AtomicU64::default);
        Ok(Self { descriptor: Descriptor::new(descriptor), is_terminal, looked })
    }

    /// Only the helpers' death makes this fail, and then nobody is there to be told; or user code that has closed every way
    /// to them. `time` is now, in microseconds since 1970.
    pub(crate) fn send(&self, frame: &[u8], time: u64) -> Result<(), Errno> {
        let sent =
            if self.is_ours(time) { self.send_through(self.descriptor.as_fd(), frame) } else { Err(Errno::BADF) };
        match sent {
            // User code has closed it. A standard descriptor may lead there too.
            Err(Errno::BADF) => {
                let standard = Stdio::ALL.into_iter().map(standard).find(|standard| self.descriptor.led_to(standard));
                self.send_through(standard.ok_or(Errno::BADF)?, frame)
            }
            sent => sent,
        }
    }

    fn send_through(&self, writer: BorrowedFd<'_>, frame: &[u8]) -> Result<(), Errno> {
        // A pipe takes a frame whole (`MAX_FRAME`); a terminal does so unless a signal interrupts it half way. One that
        // ends the process may: the terminal may be stalled.
        if !self.is_terminal {
            return send(&writer, frame);
        }
        let _blocked = Blocked::all_but_deadly();
        let mut safe = [0; SAFE_CAPACITY];
        let length = safe_form(frame, &mut safe);
        send(&writer, &safe[..length])
    }

    /// Whether the number is not that of a file of the user's.
    fn is_ours(&self, time: u64) -> bool {
        /// A look costs a system call, half as much as the frame itself. Microseconds; to open files up to a number that is
        /// `FAR`, or to lay one over each, and then write a record, takes longer.
        const INTERVAL: u64 = 1_000;
        let Some(looked) = &self.looked else { return self.descriptor.is_ours() };
        if time.wrapping_sub(looked.load(Ordering::Relaxed)) < INTERVAL {
            return true;
        }
        let is_ours = self.descriptor.is_ours();
        if is_ours {
            looked.store(time, Ordering::Relaxed);
        }
        is_ours
    }
}

/// Further than any program opens files in a moment.
const FAR: i32 = 1000;
/// The kernel's table of descriptors grows to that many, not further.
const HIGHEST: i32 = 4096;

/// A copy with the number at the soft limit of open files (getrlimit(2)): `open`, `dup2` and the like refuse that number with
/// `EMFILE` or `EBADF`. Not where it is the hard limit too.
fn beyond_limit(descriptor: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.current.filter(|current| *current < HIGHEST as u64).ok_or(Errno::INVAL)?;
    setrlimit(Resource::Nofile, Rlimit { current: Some(current + 1), ..limit })?;
    let copy = rustix::io::fcntl_dupfd_cloexec(descriptor, current as i32);
    let _ = setrlimit(Resource::Nofile, limit);
    copy
}

/// The write end of one stream.
pub(crate) struct StreamEnd {
    descriptor: Descriptor,
    is_terminal: bool,
    /// A description of its own for standard error, where it serves both.
    second: Option<Descriptor>,
    /// Which standard descriptors it takes the place of.
    serves: PerStdio<bool>,
    /// Where those led before; `None` where they were closed.
    originals: PerStdio<Option<Descriptor>>,
}

impl StreamEnd {
    pub(crate) fn new(
        writer: OwnedFd,
        is_terminal: bool,
        second: Option<OwnedFd>,
        serves: PerStdio<bool>,
        originals: PerStdio<Option<OwnedFd>>,
    ) -> Self {
        let PerStdio { out, err } = originals;
        let originals = PerStdio { out: out.map(Descriptor::new), err: err.map(Descriptor::new) };
        let (descriptor, second) = (Descriptor::new(writer), second.map(Descriptor::new));
        Self { descriptor, is_terminal, second, serves, originals }
    }

    /// Every description through which it can be written to.
    pub(crate) fn descriptions(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [Some(&self.descriptor), self.second.as_ref()].into_iter().flatten().map(AsFd::as_fd)
    }

    pub(crate) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// What is to take the place of a standard descriptor.
    fn description_for(&self, stdio: Stdio) -> &Descriptor {
        self.second.as_ref().filter(|_| stdio == Stdio::Err).unwrap_or(&self.descriptor)
    }

    /// As it is found in other processes.
    pub(crate) fn id(&self) -> Option<StreamId> {
        StreamId::of(&rustix::fs::fstat(&self.descriptor).ok()?)
    }
}

/// How long the end of helpers that have nothing left to do is waited for.
const REAP_TIMEOUT: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// The helpers of runs that they outlive. Each later run's end looks for those that have ended since.
static OUTLIVED: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

pub(crate) struct Link {
    ends: Vec<StreamEnd>,
    control: Descriptor,
    replies: Descriptor,
    first_helper: Pid,
    /// Why a stream that leads to a terminal is a pipe.
    pub(crate) no_terminal: Option<std::io::Error>,
    /// In a run that is PID 1: what the collector asks for its end through.
    end_request: Option<OwnedFd>,
}

impl Link {
    pub(crate) fn new(
        ends: Vec<StreamEnd>,
        control: OwnedFd,
        replies: OwnedFd,
        first_helper: Pid,
        no_terminal: Option<std::io::Error>,
        end_request: Option<OwnedFd>,
    ) -> Self {
        let (control, replies) = (Descriptor::not_for_children(control), Descriptor::new(replies));
        Self { ends, control, replies, first_helper, no_terminal, end_request }
    }

    /// In a run that is PID 1 and has a timeout: has it ended where the collector asks for that.
    pub(crate) fn end_on_request(&mut self) -> std::io::Result<()> {
        let Some(request) = self.end_request.take() else { return Ok(()) };
        let copy = |descriptor: &Descriptor| rustix::io::fcntl_dupfd_cloexec(descriptor, 3);
        let error = |error| std::io::Error::other(format!("the run is PID 1, and its timeout needs a thread: {error}"));
        let wait = || pid_one::wait_for_request(request, copy(&self.control)?, copy(&self.replies)?);
        wait().map_err(error)
    }

    /// The first of the helpers, which all are in its process group.
    pub(crate) fn first_helper(&self) -> Pid {
        self.first_helper
    }

    /// A descriptor of its own for records, in the stream of standard output.
    pub(crate) fn record_writer(&self) -> std::io::Result<FrameWriter> {
        let StreamEnd { descriptor, is_terminal, .. } = &self.ends[0];
        // On a terminal also out of the way of a child that makes its description non-blocking: half a frame would do.
        let anew = is_terminal.then(|| opened_anew(descriptor, OFlags::WRONLY)).flatten();
        FrameWriter::new(anew.as_ref().map_or(descriptor.as_fd(), AsFd::as_fd), *is_terminal)
    }

    /// Waits until the collector holds nothing but its own. Until then it has a copy of the lock, and a run that dies at
    /// once would leave the lock held for a moment: found by a test in which the next run was refused.
    pub(crate) fn wait_until_ready(&self) -> std::io::Result<()> {
        match next_reply(&self.replies) {
            Some(Reply::Ready) => Ok(()),
            _ => Err(std::io::Error::other("the collector ended before it was ready")),
        }
    }

    /// Points the captured standard descriptors at the collector.
    pub(crate) fn capture(&self) -> Result<(), Errno> {
        for end in &self.ends {
            for stdio in Stdio::ALL.into_iter().filter(|stdio| *end.serves.get(*stdio)) {
                point_standard(stdio, end.description_for(stdio))?;
            }
        }
        Ok(())
    }

    /// Ends the run: puts the standard descriptors back, tells the collector how the run ended and waits until log and
    /// console have everything; then releases the lock, and waits for a command that is to be run after that. Returns at
    /// once where no helper is left.
    pub(crate) fn finish(self, closing_line: &[u8], unlock: impl FnOnce()) {
        let unlock = RunOnDrop(Some(unlock));
        self.restore();
        let Self { ends, control, replies, first_helper, .. } = self;
        if !control.is_ours() || !replies.is_ours() {
            // The user's code has closed descriptors that it does not know. The collector ends the run with this process.
            return;
        }
        drop(ends);
        let _ = send(&control, closing_line);
        let reply = next_reply(&replies);
        drop(unlock);
        let reply = wait_for_command(control, &replies, reply);
        let mut helpers = [PollFd::new(&replies, PollFlags::IN)];
        if reply != Some(Reply::Lingers) {
            // The end of both helpers, which is not waited for without end: one may be stopped.
            let _ = poll(&mut helpers, Some(&REAP_TIMEOUT));
        }
        let ended = helpers[0].revents() == PollFlags::HUP;
        let mut outlived = OUTLIVED.lock().unwrap_or_else(PoisonError::into_inner);
        outlived.retain(|&first| !sys::reap(first, false));
        if ended {
            sys::reap(first_helper, true);
        } else {
            outlived.push(first_helper);
        }
    }

    /// The same for a process that ends by exit(3), perhaps in a signal handler: takes and frees no memory, and leaves it to the
    /// system to reap.
    pub(crate) fn finish_at_exit(self, closing_line: &[u8], unlock: impl FnOnce()) {
        self.restore();
        let Self { mut ends, control, replies, no_terminal, .. } = self;
        // Closes them, and keeps the memory that they are in.
        ends.clear();
        std::mem::forget((ends, no_terminal));
        let is_connected = control.is_ours() && replies.is_ours();
        let mut reply = None;
        if is_connected {
            let _ = send(&control, closing_line);
            reply = next_reply(&replies);
        }
        unlock();
        wait_for_command(control, &replies, reply);
    }

    /// Leaves alone what the user's code has pointed elsewhere meanwhile.
    fn restore(&self) {
        for end in &self.ends {
            let is_still_there =
                |stdio: &Stdio| *end.serves.get(*stdio) && same_place(standard(*stdio), &end.descriptor);
            for stdio in Stdio::ALL.into_iter().filter(is_still_there) {
                match end.originals.get(stdio) {
                    Some(original) if original.is_ours() => drop(point_standard(stdio, original)),
                    _ => close_standard(stdio),
                }
            }
        }
    }
}

/// Calls it at the latest when it is dropped.
struct RunOnDrop<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for RunOnDrop<F> {
    fn drop(&mut self) {
        if let Some(run) = self.0.take() {
            run();
        }
    }
}

/// The lock is free: says so where the collector waits for that to run a command, and waits for its end. Returns what it
/// replies then.
fn wait_for_command(control: Descriptor, replies: &Descriptor, mut reply: Option<Reply>) -> Option<Reply> {
    if reply == Some(Reply::Stands) {
        let _ = send(&control, &[UNLOCKED]);
    }
    drop(control);
    // A standby that took over says it once more.
    while reply == Some(Reply::Stands) {
        reply = next_reply(replies);
    }
    reply
}

/// The collector's next; none where no helper is left.
fn next_reply(replies: &Descriptor) -> Option<Reply> {
    loop {
        let mut byte = [0];
        match rustix::io::read(replies, &mut byte) {
            Err(Errno::INTR) => {}
            Ok(1) => return Reply::from_byte(byte[0]),
            Ok(_) | Err(_) => return None,
        }
    }
}

fn standard(stdio: Stdio) -> BorrowedFd<'static> {
    match stdio {
        Stdio::Out => rustix::stdio::stdout(),
        Stdio::Err => rustix::stdio::stderr(),
    }
}

fn point_standard(stdio: Stdio, to: &Descriptor) -> Result<(), Errno> {
    match stdio {
        Stdio::Out => rustix::stdio::dup2_stdout(to),
        Stdio::Err => rustix::stdio::dup2_stderr(to),
    }
}

/// It was closed before the run, and is again; or nobody knows any more where it led.
#[allow(unsafe_code)]
fn close_standard(stdio: Stdio) {
    // SAFETY: the descriptor leads to our stream, so nobody else has put anything of theirs there.
    unsafe { libc::close(standard(stdio).as_raw_fd()) };
}

/// Writes it all, also where the user's code has made the shared description non-blocking.
fn send(writer: &impl AsFd, bytes: &[u8]) -> Result<(), Errno> {
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
