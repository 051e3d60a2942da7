//! The standby: a second helper that holds the same descriptors, sleeps, and takes over when the collector dies. Once a minute
//! it gives the run's sign of life.
//!
//! The two watch each other through one pipe, the standby pipe: its end of file tells the standby, its error the
//! collector. How far the collector had come stands in the journal.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{Pid, getpid};

use crate::collector::{Collector, Role};
use crate::process::{self, Parent};
use crate::protocol::Severity;
use crate::signals::Blocked;
use crate::stamp::{monotonic, timespec};
use crate::sys::{self, exit};

/// How long a file is held for a next rotation: no longer, or the room of one that somebody removes stays taken.
const HOLD: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// A collector that dies so soon (microseconds), so often in a row, dies of what it does: after that each takeover waits, a
/// second longer than the one before. The forks would keep a processor busy as long as the run takes, and dead helpers stay
/// zombies until its end.
const SOON: u64 = 1_000_000;
const SOON_IN_A_ROW: u64 = 200;
const LONGEST_REST: u64 = 60_000_000;

/// Between two looks at a collector that may be stopped. Microseconds.
const CHECK_AGAIN: u64 = 1_000_000;

/// What a collector tells its standby, a byte each.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Message {
    /// The log was rotated.
    Rotated = b'R',
    /// The journal says that nothing more goes to some console: whoever reads it is to see its end.
    Shown = b'S',
    /// All is done.
    Quit = b'Q',
}

impl Collector {
    /// Forks a standby, in which this returns its role: there the caller returns to where roles begin, so that no takeover
    /// nests in another. The one that there is ends then, and not before: should this process be stopped or killed in here, one
    /// of the two takes over, whom the journal names. Without one the run is still logged; that there is none is said in the log.
    #[must_use]
    pub(crate) fn fork_standby(&mut self) -> Option<Role> {
        let collector = getpid();
        let (old, number) = (self.standby.take(), self.shared.journal.standby() + 1);
        if old.is_none() {
            self.shared.journal.set_standby(number);
        }
        self.held_ends.leave_in_queue();
        let error = match sys::pipe() {
            Ok((pipe, writer)) => {
                let _blocked = Blocked::all();
                // SAFETY: a helper forks another one: no thread but this one, and nothing that allocates, comes after it.
                #[allow(unsafe_code)]
                match unsafe { process::fork(Parent::CallersParent) } {
                    // Its copies of the collector's ends would keep the pipes from ever ending.
                    Ok(None) => return Some(Role::Standby { pipe, collector, number }),
                    Ok(Some(_)) => {
                        self.shared.journal.set_standby(number);
                        tell(old.as_ref(), Message::Quit);
                        self.standby = Some(writer);
                        self.held_ends.take_copies();
                        return None;
                    }
                    Err(error) => error,
                }
            }
            Err(error) => error,
        };
        self.held_ends.take_copies();
        self.standby = old;
        if self.standby.is_none() {
            let error = error.raw_os_error();
            let text =
                format_args!("the collector has no standby (os error {error}): should it be killed, output is lost");
            self.output.note(Severity::Warn, text);
        }
        None
    }

    /// The standby was killed. Another one comes first of all: this collector may be killed too.
    #[must_use]
    pub(crate) fn replace_standby(&mut self) -> Option<Role> {
        self.standby = None;
        if let Some(role) = self.fork_standby() {
            return Some(role);
        }
        let text = format_args!("the collector's standby was killed; nothing is missing, another one takes its place");
        self.output.note(Severity::Warn, text);
        self.output.flush();
        None
    }

    pub(crate) fn end_standby(&self) {
        self.tell_standby(Message::Quit);
    }

    /// The standby has time for what a rotation would otherwise wait for.
    pub(crate) fn tell_standby_of_rotation(&mut self) {
        if self.output.take_rotated()
            // A stopped standby must not stop us when its pipe is full.
            && self.standby.as_ref().is_some_and(|standby| rustix::io::ioctl_fionread(standby) == Ok(0))
        {
            self.tell_standby(Message::Rotated);
        }
    }

    pub(crate) fn tell_standby_of_shown(&self) {
        self.tell_standby(Message::Shown);
    }

    fn tell_standby(&self, message: Message) {
        tell(self.standby.as_ref(), message);
    }

    /// Sleeps until the collector has died; then this is the collector, or ends where another standby has come meanwhile.
    pub(crate) fn stand_by(&mut self, pipe: &OwnedFd, collector: Pid, number: u64) {
        sys::set_name(c"guard-standby");
        self.standby = None;
        self.output.release_log();
        loop {
            self.give_sign_of_life();
            let hold = self.output.holds_next_removed().then_some(HOLD);
            let until_check = self.remains.check_due(self.shared.journal).map(|due| due.saturating_sub(monotonic()));
            if until_check == Some(0) {
                // It is stopped, while the run's timeout or its lock depends on it.
                sys::kill_helper(collector, pipe);
            }
            let until_check = until_check.map(|micros| timespec(micros.max(CHECK_AGAIN)));
            let until_sign = self.until_sign().map(timespec);
            let timeout =
                hold.into_iter().chain(until_check).chain(until_sign).min_by_key(|time| (time.tv_sec, time.tv_nsec));
            if poll(&mut [PollFd::new(pipe, PollFlags::IN)], timeout.as_ref()) == Ok(0) {
                self.output.release_log();
                continue;
            }
            let mut message = [0];
            match (rustix::io::read(pipe, &mut message), message) {
                (Err(Errno::INTR), _) => {}
                (Ok(0) | Err(_), _) if self.shared.journal.standby() == number => return,
                (Ok(_), [b'R']) => self.output.hold_next_removed(),
                (Ok(_), [b'S']) => self.close_shown_consoles(),
                (Ok(_) | Err(_), _) => exit(0),
            }
        }
    }

    /// The collector has died; this standby is the collector now.
    #[must_use]
    pub(crate) fn take_over(&mut self, dead: Pid) -> Option<Role> {
        // Or the next standby, which is there before anything else is done, would take this one for stopped too.
        self.shared.journal.stir(monotonic());
        self.forget_the_unwritten();
        self.output.release_log();
        // First of all: this one may be killed too.
        if let Some(role) = self.fork_standby() {
            return Some(role);
        }
        let dead = dead.as_raw_nonzero();
        let text = format_args!(
            "the collector (pid {dead}) was killed; its standby took over, at most one batch is missing here, \
             and what was not yet a whole line"
        );
        self.output.note(Severity::Warn, text);
        self.output.flush();
        let too_many = self.shared.journal.count_takeover(monotonic(), SOON).saturating_sub(SOON_IN_A_ROW);
        if too_many > 0 {
            sys::sleep(&timespec((too_many * SOON).min(LONGEST_REST)));
            self.shared.journal.took_over(monotonic());
        }
        None
    }
}

fn tell(standby: Option<&OwnedFd>, message: Message) {
    if let Some(standby) = standby {
        let _ = rustix::io::write(standby, &[message as u8]);
    }
}
