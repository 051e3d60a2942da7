//! The files that tell of a run, status and metrics: written at its start and at its end, by whichever helper is there.

use core::ffi::CStr;
use core::fmt;

use rustix::event::Timespec;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

use crate::buffer::Buffer;
use crate::exit_status::Ended;
use crate::metrics::{self, Metrics};
use crate::moment::{Moment, Seconds};
use crate::replace::{self, Place, Readers, Replaced, Unreadable};
use crate::status::{self, History, Previous, RunState, Status};
use crate::usage::Usage;

/// The scratch room that [`Report::start`] and [`Report::end`] need.
pub const ROOM: usize = replace::LONGEST;
const _: () = assert!(ROOM > status::ROOM && ROOM > metrics::ROOM, "what is written fits too");

const STATUS_READERS: Readers = Readers::ByUmask;
const METRICS_READERS: Readers = Readers::Everybody;

/// How long a predecessor's helpers are waited for that have yet to write how its run ended: so many looks
const LOOKS: u32 = 200;
/// and so much between two.
const BETWEEN_LOOKS: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };

/// One of the two files.
#[derive(Debug)]
pub struct Target<'a> {
    /// Its directory.
    directory: OwnedFd,
    /// Its name there.
    name: &'a CStr,
    /// Its path, for messages.
    path: &'a [u8],
    /// The file of a run that goes on, open so that the next run sees that a helper is alive; and the one before it,
    /// for to free that takes time.
    held: [Option<OwnedFd>; 2],
    /// For the end of the run.
    prepared: Option<OwnedFd>,
    /// That it cannot be written was told already.
    has_told: bool,
}

impl<'a> Target<'a> {
    /// Nothing is read or written yet.
    pub fn new(directory: OwnedFd, name: &'a CStr, path: &'a [u8]) -> Self {
        Self { directory, name, path, held: [None, None], prepared: None, has_told: false }
    }

    fn place(&self, run: u64) -> Place<'_> {
        Place { directory: self.directory.as_fd(), name: self.name, run }
    }

    /// Tells of a failure, once.
    fn check(&mut self, written: Result<Replaced, Errno>, tell: &mut dyn FnMut(Trouble<'_>)) -> Option<Replaced> {
        match written {
            Ok(replaced) => return Some(replaced),
            Err(error) if !self.has_told => {
                self.has_told = true;
                tell(Trouble::Unwritten(self.path, error));
            }
            Err(_) => {}
        }
        None
    }

    fn keep(&mut self, replaced: Option<Replaced>) {
        if let Some(Replaced { new, old }) = replaced {
            self.held = [Some(new), old];
        }
    }
}

/// What is the same in all that is said of one run.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// Its id, drawn at the start.
    pub run: u64,
    /// Its process.
    pub pid: i32,
    /// The machine's name.
    pub host: &'a [u8],
    /// The program's file.
    pub program: &'a [u8],
    /// The lock file.
    pub lock: &'a [u8],
    /// The log file.
    pub log: &'a [u8],
    /// The lock file's name without its ending.
    pub task: &'a [u8],
    /// When it started.
    pub started: Moment,
}

/// How a run ended.
#[derive(Clone, Copy, Debug)]
pub struct Ending<'a> {
    /// In a word.
    pub state: RunState,
    /// What is known of the reason; empty where nothing is.
    pub detail: &'a [u8],
    /// Its process' code or signal.
    pub exit: Ended,
    /// When it ended.
    pub ended: Moment,
    /// How long it took.
    pub elapsed: Seconds,
    /// What it cost, where it could say so itself.
    pub usage: Option<Usage>,
}

/// A file that cannot be read or written, for the log: one line each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble<'a> {
    /// It could not be read back, so nothing is known of earlier runs.
    Unreadable(&'a [u8], Unreadable),
    /// It could not be written.
    Unwritten(&'a [u8], Errno),
}

impl fmt::Display for Trouble<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, why) => {
                write!(formatter, "{} cannot be read back: {why}; what it said of earlier runs is lost", Lossy(path))
            }
            Self::Unwritten(path, error) => {
                let error = error.raw_os_error();
                write!(formatter, "{} cannot be written (os error {error}); it does not tell of this run", Lossy(path))
            }
        }
    }
}

/// Any bytes as text.
struct Lossy<'a>(&'a [u8]);

impl fmt::Display for Lossy<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.utf8_chunks().try_for_each(|chunk| {
            formatter.write_str(chunk.valid())?;
            formatter.write_str(if chunk.invalid().is_empty() { "" } else { "\u{fffd}" })
        })
    }
}

/// What the files said when the run started: to be shared with the standby.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    history: History,
    samples: Metrics,
}

impl Carried {
    /// When the last run that succeeded ended, this one included, which has ended so.
    pub fn last_success_after(&self, state: RunState, started: Moment, ended: Moment) -> Option<Moment> {
        if state == RunState::Succeeded {
            return Some(ended);
        }
        // Without a status file the metrics may know.
        let known = self.history.after(state, started, ended).last_success.map(|success| success.ended);
        known.or(self.samples.last_success)
    }
}

/// The files of one run, as a helper knows them.
#[derive(Debug)]
pub struct Report<'a> {
    identity: Identity<'a>,
    status: Option<Target<'a>>,
    metrics: Option<Target<'a>>,
}

impl<'a> Report<'a> {
    /// Nothing is read or written yet.
    pub fn new(identity: Identity<'a>, status: Option<Target<'a>>, metrics: Option<Target<'a>>) -> Self {
        Self { identity, status, metrics }
    }

    /// Whose files they are.
    pub fn identity(&self) -> &Identity<'a> {
        &self.identity
    }

    /// Neither file is wanted.
    pub fn is_empty(&self) -> bool {
        self.status.is_none() && self.metrics.is_none()
    }

    /// Descriptors that a helper keeps.
    pub fn descriptors(&self) -> impl Iterator<Item = &OwnedFd> {
        let targets = [&self.status, &self.metrics].into_iter().flatten();
        targets.flat_map(|target| {
            core::iter::once(&target.directory).chain(target.held.iter().flatten()).chain(&target.prepared)
        })
    }

    /// Says in both files that the run is going on. Returns what they said before, and the run before where that was
    /// found running and has no helper left: it ended without a trace.
    ///
    /// Waits up to 1 s for the helpers of the run before, where they are alive and have not told its end. `scratch` has
    /// [`ROOM`] bytes.
    pub fn start(&mut self, scratch: &mut [u8], tell: &mut dyn FnMut(Trouble<'_>)) -> (Carried, Option<Previous>) {
        let (run, started) = (self.identity.run, self.identity.started);
        let (mut carried, mut lost) = (Carried::default(), None);
        if let Some(mut target) = self.status.take() {
            let place = target.place(run);
            let is_unfinished = |previous: &Previous| previous.state == RunState::Running && previous.run != run;
            wait_while_unfinished(
                &place,
                || matches!(Previous::read(&place, scratch), Ok(Some(previous)) if is_unfinished(&previous)),
            );
            let written = place.exclusively(|| {
                match Previous::read(&place, scratch) {
                    Ok(Some(previous)) if is_unfinished(&previous) => {
                        // Its run is dead, for the lock is ours.
                        carried.history = previous.history.after(RunState::Lost, previous.started, previous.started);
                        lost = (!place.is_held()).then_some(previous);
                    }
                    Ok(Some(previous)) => carried.history = previous.history,
                    Ok(None) => {}
                    Err(why) => tell(Trouble::Unreadable(target.path, why)),
                }
                self.write_status(&place, carried.history, None, scratch, None)
            });
            let replaced = target.check(written, tell);
            target.keep(replaced);
            self.status = Some(target);
        }
        if let Some(mut target) = self.metrics.take() {
            let place = target.place(run);
            let is_unfinished = |found: &Metrics| found.running && found.last_start != Some(started);
            wait_while_unfinished(
                &place,
                || matches!(Metrics::read(&place, scratch), Ok(Some(found)) if is_unfinished(&found)),
            );
            let written = place.exclusively(|| {
                let samples = match Metrics::read(&place, scratch) {
                    Ok(Some(samples)) if is_unfinished(&samples) => samples.ended(RunState::Lost, None, None, None),
                    Ok(samples) => samples.unwrap_or_default(),
                    Err(why) => {
                        tell(Trouble::Unreadable(target.path, why));
                        Metrics::default()
                    }
                };
                let samples = if self.status.is_some() { samples.with_history(carried.history) } else { samples };
                carried.samples = samples.started(started);
                self.write_metrics(&place, &carried.samples, scratch, None)
            });
            let replaced = target.check(written, tell);
            target.keep(replaced);
            self.metrics = Some(target);
        }
        (carried, lost)
    }

    /// Makes the files for the end beforehand, while nobody waits.
    pub fn prepare(&mut self) {
        let run = self.identity.run;
        for (target, readers) in [(&mut self.status, STATUS_READERS), (&mut self.metrics, METRICS_READERS)] {
            if let Some(target) = target {
                target.prepared = target.place(run).prepare(readers);
            }
        }
    }

    /// In a standby that takes over: holds what the dead collector held.
    pub fn take_over(&mut self) {
        let run = self.identity.run;
        for target in [&mut self.status, &mut self.metrics].into_iter().flatten() {
            if let [held @ None, _] = &mut target.held {
                let place = Place { directory: target.directory.as_fd(), name: target.name, run };
                *held = place.hold();
            }
        }
    }

    /// Says in both files how the run ended, unless a later run has them by now. A second helper that does it again
    /// writes the same.
    pub fn end(
        &mut self,
        carried: &Carried,
        ending: &Ending<'_>,
        scratch: &mut [u8],
        tell: &mut dyn FnMut(Trouble<'_>),
    ) {
        let (run, started) = (self.identity.run, self.identity.started);
        let history = carried.history.after(ending.state, started, ending.ended);
        if let Some(mut target) = self.status.take() {
            let prepared = target.prepared.take();
            let place = target.place(run);
            let written = place.exclusively(|| match Previous::read(&place, scratch) {
                Ok(Some(previous)) if !previous.gives_way_to(run, started) => None,
                _ => Some(self.write_status(&place, history, Some(ending), scratch, prepared)),
            });
            if let Some(written) = written {
                target.check(written, tell);
            }
            self.status = Some(target);
        }
        if let Some(mut target) = self.metrics.take() {
            let prepared = target.prepared.take();
            let samples = carried.samples.ended(ending.state, Some(ending.ended), Some(ending.elapsed), ending.usage);
            let place = target.place(run);
            let written = place.exclusively(|| match Metrics::read(&place, scratch) {
                Ok(Some(found)) if !found.give_way_to(started) => None,
                _ => Some(self.write_metrics(&place, &samples, scratch, prepared)),
            });
            if let Some(written) = written {
                target.check(written, tell);
            }
            self.metrics = Some(target);
        }
    }

    /// Closes what the files replaced, which frees it: to be called when nobody waits any more.
    pub fn release(&mut self) {
        for target in [&mut self.status, &mut self.metrics].into_iter().flatten() {
            target.held = [None, None];
        }
    }

    fn write_status(
        &self,
        place: &Place<'_>,
        history: History,
        ending: Option<&Ending<'_>>,
        scratch: &mut [u8],
        prepared: Option<OwnedFd>,
    ) -> Result<Replaced, Errno> {
        let Identity { run, pid, host, program, lock, log, started, .. } = self.identity;
        let usage = ending.and_then(|ending| ending.usage);
        let status = Status {
            run,
            state: ending.map_or(RunState::Running, |ending| ending.state),
            pid,
            host,
            program,
            started,
            ended: ending.map(|ending| ending.ended),
            elapsed: ending.map(|ending| ending.elapsed),
            detail: ending.map(|ending| ending.detail).filter(|detail| !detail.is_empty()),
            exit: ending.map_or(Ended::Unknown, |ending| ending.exit),
            processor: usage.map(|usage| Seconds(usage.processor)),
            max_memory: usage.map(|usage| usage.max_memory),
            lock,
            log,
            history,
        };
        let mut out = Buffer::new(scratch);
        status.write(&mut out).map_err(|_| Errno::NOBUFS)?;
        is_whole(&out)?;
        place.replace(&out, STATUS_READERS, prepared)
    }

    fn write_metrics(
        &self,
        place: &Place<'_>,
        samples: &Metrics,
        scratch: &mut [u8],
        prepared: Option<OwnedFd>,
    ) -> Result<Replaced, Errno> {
        let mut out = Buffer::new(scratch);
        samples.write(self.identity.task, &mut out).map_err(|_| Errno::NOBUFS)?;
        is_whole(&out)?;
        place.replace(&out, METRICS_READERS, prepared)
    }
}

/// A full buffer may have cut something off.
fn is_whole(out: &Buffer<'_>) -> Result<(), Errno> {
    if out.space() > 0 { Ok(()) } else { Err(Errno::NOBUFS) }
}

/// Waits while the file says that another run goes on, whose lock we have, and a helper is left that will say how it
/// ended.
fn wait_while_unfinished(place: &Place<'_>, mut is_unfinished: impl FnMut() -> bool) {
    for _ in 0..LOOKS {
        if !is_unfinished() || !place.is_held() {
            break;
        }
        let _ = rustix::event::poll(&mut [], Some(&BETWEEN_LOOKS));
    }
}

#[cfg(test)]
mod tests;
