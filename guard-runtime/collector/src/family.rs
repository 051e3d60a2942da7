//! The family of a run: who holds a captured stream of it open, and its descendants. Found through /proc, signalled
//! through pidfds.
//!
//! A pid may be given to another process at any moment. So a process is first looked at for a first impression; then a pidfd
//! of it is opened, and it is looked at again: if the pidfd says afterwards that it lives, all that was read meanwhile was
//! of it, and a signal through the pidfd reaches it or nobody.

mod members;
mod names;
mod proc;

use core::fmt::Write;
use core::mem::MaybeUninit;
use core::sync::atomic::AtomicU64;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

use members::Members;
use proc::{Holds, Name, Proc, Stat};

use crate::buffer::Buffer;

pub(crate) use proc::Blind;
pub use proc::StreamId;

/// Descriptors that are left to the rest of the helper.
const SPARE_DESCRIPTORS: u64 = 64;

/// Memory for a `Family`. It is not touched before the first scan.
#[derive(Debug)]
pub struct FamilyMemory<'a> {
    table: &'a mut [MaybeUninit<Member>],
    entries: &'a mut [MaybeUninit<u8>],
    left: &'a [AtomicU64],
}

/// Processes that are known at a time; where there are more, it takes several passes.
const MOST_MEMBERS: usize = 4096;
/// A directory is read in pieces of half of that.
const ENTRIES: usize = 64 * 1024;

impl<'a> FamilyMemory<'a> {
    /// Bytes of memory of its own.
    pub const PRIVATE: usize = MOST_MEMBERS * size_of::<Member>() + ENTRIES;
    /// Bytes that are shared with whoever takes over, zeroes at first.
    pub const SHARED: usize = MOST_MEMBERS * size_of::<AtomicU64>();

    /// Of memory of those sizes, aligned for 64-bit numbers.
    pub fn new(private: &'a mut [u8], shared: &'a mut [u8]) -> Self {
        let (table, entries) = private.split_at_mut(private.len().saturating_sub(ENTRIES));
        #[allow(unsafe_code)]
        // SAFETY: any bytes are places that are not written yet, and any bytes are numbers.
        let ((_, table, _), (_, entries, _), (_, left, _)) =
            unsafe { (table.align_to_mut(), entries.align_to_mut(), shared.align_to_mut()) };
        Self { table, entries, left }
    }
}

#[derive(Debug)]
pub(crate) struct Member {
    pid: i32,
    /// Clock ticks from the boot to its start. With the pid, it tells a process from all others that there have been.
    birth: u64,
    /// None for a stranger, and where there are no more descriptors.
    pidfd: Option<OwnedFd>,
    name: Name,
    kin: Kin,
    /// Its place in what a standby is left.
    place: Option<usize>,
    is_unreadable: bool,
    is_refused: bool,
}

impl Member {
    const EMPTY: Self = Self {
        pid: 0,
        birth: 0,
        pidfd: None,
        name: Name::EMPTY,
        kin: Kin::Stranger,
        place: None,
        is_unreadable: false,
        is_refused: false,
    };

    /// Neither dead nor waiting to be reaped.
    fn lives(&self, proc: Option<&Proc>) -> bool {
        match (&self.pidfd, proc) {
            (Some(pidfd), _) => lives(pidfd),
            (None, Some(proc)) => {
                matches!(proc.stat(self.pid), Ok(Some(stat)) if stat.birth == self.birth && !stat.is_dead())
            }
            (None, None) => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kin {
    Descendant,
    /// Holds a stream, and was born after the run began.
    Holder,
    /// Holds a stream, but was there before the run: a terminal multiplexer or a supervisor that was handed it. Named,
    /// never signalled; its children are not of the run either.
    Stranger,
}

/// The run whose family is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    /// Its process, while it lives: whose descendants count.
    pub process: Option<(i32, BorrowedFd<'a>)>,
    /// When it began, in clock ticks since the boot: [`birth`] of its first helper.
    pub began: u64,
    /// The captured streams.
    pub streams: [Option<StreamId>; 2],
    /// The run's helpers that live, this process or not.
    pub helpers: &'a [i32],
}

/// Whom a scan looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whom {
    /// Those that are to be signalled.
    Family,
    /// Also those that hold a stream without being of the run, for [`Family::describe`].
    FamilyAndStrangers,
}

/// What a scan has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Processes of the run that no scan had found before. While there are some, another scan may find more.
    pub new: usize,
    /// Those among them that the table has no room for.
    pub without_room: usize,
    /// Processes, born after the run began and no descendants of it, that may not be looked at: each may hold a stream.
    pub unreadable: usize,
}

/// What became of a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// To so many processes that lived.
    pub sent: usize,
    /// So many may not be signalled: other users' processes.
    pub refused: usize,
}

/// The family that was found so far. Its pidfds are kept until it is dropped: a descendant that has lost its parent is
/// known by nothing else.
#[derive(Debug)]
pub(crate) struct Family<'a> {
    members: Members<'a>,
    entries: &'a mut [MaybeUninit<u8>],
}

impl<'a> Family<'a> {
    /// Nobody is known yet.
    pub(crate) fn new(memory: FamilyMemory<'a>) -> Self {
        let FamilyMemory { table, entries, left } = memory;
        Self {
            members: Members { table, length: 0, pidfds_left: 0, limit_is_known: false, limit_before: None, left },
            entries,
        }
    }

    /// Until the next scan.
    pub(crate) fn restore_descriptor_limit(&mut self) {
        self.members.restore_limit();
    }

    /// In a process that took over from another one, and has a copy of what that once knew: knows what it knew last.
    pub(crate) fn recall(&mut self) {
        if let Ok(proc) = Proc::open() {
            self.members.make_room_for_pidfds();
            self.members.recall(&proc);
        }
    }

    /// Looks at every process once. `without_room` is sent at once to those for whom the table has no room.
    ///
    /// Takes some 10 µs for each process on the machine, and 3 µs for each descriptor of those that are of the run or may
    /// be: those that are older are passed over unless strangers are asked for.
    ///
    /// # Errors
    /// [`Blind`]: what was found before stays known.
    pub(crate) fn scan(&mut self, run: &Run<'_>, whom: Whom, without_room: Option<Signal>) -> Result<Found, Blind> {
        let proc = Proc::open()?;
        let Self { members, entries } = self;
        members.make_room_for_pidfds();
        members.forget_the_dead(Some(&proc));
        let (processes, entries) = entries.split_at_mut(entries.len() / 2);
        let mut search = Search { proc: &proc, run, whom, entries, own: getpid().as_raw_nonzero().get() };
        let mut found = Found::default();
        proc.each_process(processes, |pid| search.look_at(pid, members, without_room, &mut found))?;
        Ok(found)
    }

    /// Sends a signal to every process of the run that was found and lives.
    pub(crate) fn signal(&mut self, signal: Signal) -> Sent {
        let mut sent = Sent::default();
        let proc = Proc::open().ok();
        for member in self.members.known_mut().iter_mut().filter(|member| member.kin != Kin::Stranger) {
            let result = match (&member.pidfd, &proc) {
                (Some(pidfd), _) => pidfd_send_signal(pidfd, signal),
                (None, Some(proc)) => send_without_pidfd(proc, member, signal),
                (None, None) => Err(Errno::PERM),
            };
            match result {
                Ok(()) => sent.sent += 1,
                Err(Errno::SRCH) => {}
                Err(_) => {
                    sent.refused += 1;
                    member.is_refused = true;
                }
            }
        }
        sent
    }

    /// How many processes of the run that were found live now.
    pub(crate) fn living(&mut self) -> usize {
        self.members.forget_the_dead(Proc::open().ok().as_ref());
        self.family().count()
    }

    /// Writes who of the run lives on, as of the last scan, or that nobody does: `2 processes of this run live on: pid 4711
    /// (rsync), pid 4712 (sh)`. What has no room is counted.
    pub(crate) fn describe(&self, text: &mut Buffer<'_>) {
        let count = self.family().count();
        let _ = match count {
            0 => write!(text, "no process of this run lives on"),
            1 => write!(text, "1 process of this run lives on: "),
            _ => write!(text, "{count} processes of this run live on: "),
        };
        names::list(self.family(), text);
        let mut strangers = self.members.known().iter().filter(|member| member.kin == Kin::Stranger).peekable();
        if strangers.peek().is_some() {
            let _ = write!(text, "; not started by it, but with its output open: ");
            names::list(strangers, text);
        }
    }

    /// Writes the names alone: `pid 4711 (rsync), pid 4712 (sh) and 12 more`.
    pub(crate) fn names(&self, text: &mut Buffer<'_>) {
        names::list(self.family(), text);
    }

    fn family(&self) -> impl Iterator<Item = &Member> + Clone {
        self.members.known().iter().filter(|member| member.kin != Kin::Stranger)
    }
}

/// The present, as the birth of a process is told.
pub(crate) fn now() -> u64 {
    // USER_HZ is 100 on every architecture that this is compiled for.
    crate::sys::clock(libc::CLOCK_BOOTTIME) / 10_000
}

/// When a process was started, in clock ticks since the boot; nothing where there is none, or no /proc.
pub(crate) fn birth(pid: i32) -> Option<u64> {
    Some(Proc::open().ok()?.stat(pid).ok()??.birth)
}

/// One look at every process.
struct Search<'a> {
    proc: &'a Proc,
    run: &'a Run<'a>,
    whom: Whom,
    entries: &'a mut [MaybeUninit<u8>],
    own: i32,
}

impl Search<'_> {
    fn look_at(
        &mut self,
        pid: i32,
        members: &mut Members<'_>,
        without_room: Option<Signal>,
        found: &mut Found,
    ) -> Result<(), Blind> {
        let is_run = self.run.process.is_some_and(|(run, _)| run == pid);
        if is_run || pid == self.own || self.run.helpers.contains(&pid) || members.find(pid).is_ok() {
            return Ok(());
        }
        let Some(stat) = self.proc.stat(pid)? else { return Ok(()) };
        let (kin, _) = self.kin(pid, &stat, members)?;
        if kin == Relation::Unreadable {
            found.unreadable += 1;
        }
        if !matches!(kin, Relation::Kin(_)) {
            return Ok(());
        }
        let pidfd = match Pid::from_raw(pid).map_or(Err(Errno::SRCH), |pid| pidfd_open(pid, PidfdFlags::empty())) {
            Ok(pidfd) => Some(pidfd),
            Err(error) if proc::is_shortage(error) => None,
            Err(Errno::NOSYS | Errno::PERM | Errno::ACCESS) => return Err(Blind::NoPidfd),
            // It has ended.
            Err(_) => return Ok(()),
        };
        // From here on the pidfd vouches for what is read.
        let Some(stat) = self.proc.stat(pid)? else { return Ok(()) };
        let (Relation::Kin(kin), is_unreadable) = self.kin(pid, &stat, members)? else { return Ok(()) };
        if kin == Kin::Descendant && !self.parent_lives(stat.parent, members) {
            // Was it the parent's, or is the parent's number another process's already? The next scan knows.
            found.new += 1;
            return Ok(());
        }
        if pidfd.as_ref().is_some_and(|pidfd| !lives(pidfd)) {
            return Ok(());
        }
        found.new += usize::from(kin != Kin::Stranger);
        let pidfd = pidfd.filter(|_| kin != Kin::Stranger);
        let member = Member {
            pid,
            birth: stat.birth,
            pidfd,
            name: stat.name,
            kin,
            place: None,
            is_unreadable,
            is_refused: false,
        };
        if let Err(member) = members.insert(member) {
            found.without_room += 1;
            if let (Some(signal), Some(pidfd)) = (without_room, &member.pidfd) {
                let _ = pidfd_send_signal(pidfd, signal);
            }
        }
        Ok(())
    }

    /// What a process is to the run, and whether its descriptors may not be read.
    fn kin(&mut self, pid: i32, stat: &Stat, members: &Members<'_>) -> Result<(Relation, bool), Blind> {
        if stat.is_dead() || stat.is_helper() {
            return Ok((Relation::None, false));
        }
        let is_child = self.run.process.is_some_and(|(run, _)| run == stat.parent) || members.is_family(stat.parent);
        let is_younger = stat.birth >= self.run.began;
        if self.whom == Whom::Family && !is_younger && !is_child {
            return Ok((Relation::None, false));
        }
        let holds = self.proc.holds(pid, stat, &self.run.streams, self.entries)?;
        let relation = match holds {
            // Whoever gave it the stream: the system does not live without it.
            Holds::Yes if pid == 1 => Relation::Kin(Kin::Stranger),
            _ if is_child => Relation::Kin(Kin::Descendant),
            Holds::Yes if is_younger => Relation::Kin(Kin::Holder),
            Holds::Yes => Relation::Kin(Kin::Stranger),
            Holds::Unreadable if is_younger => Relation::Unreadable,
            Holds::Unreadable | Holds::No => Relation::None,
        };
        Ok((relation, holds == Holds::Unreadable))
    }

    /// Asked after a child was looked at: its parent's number was then not yet another process's.
    fn parent_lives(&self, parent: i32, members: &Members<'_>) -> bool {
        match self.run.process {
            Some((run, pidfd)) if run == parent => lives(pidfd),
            _ => members.get(parent).is_some_and(|member| member.lives(Some(self.proc))),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    None,
    Unreadable,
    Kin(Kin),
}

fn lives(pidfd: impl rustix::fd::AsFd) -> bool {
    let mut polled = [PollFd::new(&pidfd, PollFlags::IN)];
    loop {
        match poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Err(Errno::INTR) => {}
            result => return result == Ok(0),
        }
    }
}

/// There were no more descriptors when it was found; now there may be one.
fn send_without_pidfd(proc: &Proc, member: &Member, signal: Signal) -> Result<(), Errno> {
    let pidfd = pidfd_open(Pid::from_raw(member.pid).ok_or(Errno::SRCH)?, PidfdFlags::empty())?;
    match proc.stat(member.pid) {
        Ok(Some(stat)) if stat.birth == member.birth => pidfd_send_signal(&pidfd, signal),
        Ok(_) => Err(Errno::SRCH),
        Err(_) => Err(Errno::MFILE),
    }
}

#[cfg(test)]
mod tests;
