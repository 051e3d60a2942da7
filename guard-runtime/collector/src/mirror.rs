//! A real terminal and the pseudo-terminal in its place: what a program makes of the flags of either holds for both, and
//! keys are passed on while a program reads them from the pseudo-terminal. less(1) does, as the terminal of its standard
//! error.

use core::mem;

use rustix::event::PollFlags;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::io::{Errno, IoSliceMut, readv};
use rustix::termios::{LocalModes, OptionalActions, OutputModes, Termios, tcgetattr, tcsetattr};

use crate::run_stat::RunStat;
use crate::stamp::monotonic;
use crate::sys::opened_anew;

/// Bytes of keys passed on at once: less than a terminal's input queue holds.
const KEYS: usize = 1024;

/// The flags of both, kept alike.
struct Mirror {
    /// A description of its own, which does not block.
    real: OwnedFd,
    /// What both were last seen or made to be, in the pseudo-terminal's form.
    known: Termios,
    /// A program on the pseudo-terminal was the last to change the flags, away from lines with echo.
    passes_keys: bool,
}

/// The pseudo-terminal's form of a real terminal's flags: with `EXTPROC`, for echo, lines and signals of keys are the real
/// one's to make, and so that each change is told.
pub fn as_ours(real: &Termios) -> Termios {
    let mut ours = real.clone();
    ours.local_modes |= LocalModes::EXTPROC;
    ours
}

/// Looks after a pseudo-terminal that tells of changes.
pub(crate) struct Follower {
    /// `None` for a user who may not open the real terminal (su, sudo to another one), and once it is gone.
    mirror: Option<Mirror>,
    /// The pseudo-terminal puts a carriage return in front of each newline.
    adds_returns: bool,
    /// A carriage return was read last.
    returned: bool,
    /// When `EXTPROC` was found gone, in microseconds.
    gone_since: Option<u64>,
}

impl Follower {
    pub(crate) fn new(real: &OwnedFd) -> Self {
        Self { mirror: Mirror::new(real), adds_returns: true, returned: false, gone_since: None }
    }

    /// What programs wrote to the pseudo-terminal, without what it added. A change of its flags is followed before more is
    /// read.
    pub(crate) fn read(&mut self, ours: &OwnedFd, data: &mut [u8], run: Option<&RunStat>) -> Result<usize, Errno> {
        loop {
            let mut told = [0];
            let Some((first, rest)) = data.split_first_mut() else { return Ok(0) };
            // The one that was read last comes first, unless a newline shows that it was added.
            *first = b'\r';
            let (before, room) = if self.returned { (1, rest) } else { (0, &mut *data) };
            if room.is_empty() {
                self.returned = false;
                return Ok(before);
            }
            let count = match readv(ours, &mut [IoSliceMut::new(&mut told), IoSliceMut::new(room)]) {
                Ok(1) if told != [0] => {
                    self.follow(PollFlags::empty(), ours, run);
                    continue;
                }
                Ok(count) => before + count.saturating_sub(1),
                // Nothing follows it now.
                Err(_) if mem::take(&mut self.returned) => return Ok(1),
                Err(error) => return Err(error),
            };
            let data = data.get_mut(..count).unwrap_or_default();
            if !self.adds_returns {
                self.returned = false;
                return Ok(count);
            }
            let length = without_added_returns(data);
            self.returned = data.get(..length).is_some_and(|data| data.ends_with(b"\r"));
            let length = length - usize::from(self.returned);
            if length > 0 {
                return Ok(length);
            }
        }
    }

    pub(crate) fn follow(&mut self, keys: PollFlags, ours: &OwnedFd, run: Option<&RunStat>) {
        let Ok(ours_now) = tcgetattr(ours) else { return };
        self.adds_returns = ours_now.output_modes.contains(OutputModes::OPOST | OutputModes::ONLCR);
        if let Some(mirror) = &mut self.mirror {
            mirror.follow(ours, &ours_now, run);
            if !keys.is_empty() && !mirror.pass_keys(keys, ours, run) {
                self.mirror = None;
            }
        }
        self.put_back(ours, &ours_now);
    }

    /// `stty sane <&2` takes `EXTPROC` away, and looks afterwards whether all it wanted was done: a moment later, then.
    fn put_back(&mut self, ours: &OwnedFd, ours_now: &Termios) {
        const MOMENT: u64 = 20_000;
        if ours_now.local_modes.contains(LocalModes::EXTPROC) {
            self.gone_since = None;
        } else if monotonic() > self.gone_since.get_or_insert_with(monotonic).saturating_add(MOMENT) {
            let _ = tcsetattr(ours, OptionalActions::Now, &as_ours(ours_now));
        }
    }

    pub(crate) fn wanted_keys(&self, run: Option<&RunStat>) -> Option<&OwnedFd> {
        self.mirror.as_ref()?.wanted_keys(run)
    }

    pub(crate) fn real_terminal(&self) -> Option<&OwnedFd> {
        self.mirror.as_ref().map(|mirror| &mirror.real)
    }

    pub(crate) fn let_go(&mut self) {
        self.mirror = None;
    }
}

/// Takes the carriage return in front of each newline out, in place; returns the length.
fn without_added_returns(data: &mut [u8]) -> usize {
    let (mut from, mut to) = (0, 0);
    while let Some(rest) = data.get(from..).filter(|rest| !rest.is_empty()) {
        // Up to the next one, which itself belongs to what follows.
        let text = rest.get(1..).and_then(|rest| memchr::memchr(b'\r', rest)).map_or(rest.len(), |found| found + 1);
        let is_added = rest.starts_with(b"\r\n");
        data.copy_within(from + usize::from(is_added)..from + text, to);
        to += text - usize::from(is_added);
        from += text;
    }
    to
}

fn alike(one: &Termios, other: &Termios) -> bool {
    let modes = |flags: &Termios| {
        (flags.input_modes, flags.output_modes, flags.control_modes, flags.local_modes, special_codes(flags))
    };
    modes(one) == modes(other)
}

fn special_codes(flags: &Termios) -> [u8; 16] {
    use rustix::termios::SpecialCodeIndex as Index;
    [
        Index::VINTR,
        Index::VQUIT,
        Index::VERASE,
        Index::VKILL,
        Index::VEOF,
        Index::VTIME,
        Index::VMIN,
        Index::VSTART,
        Index::VSTOP,
        Index::VSUSP,
        Index::VEOL,
        Index::VREPRINT,
        Index::VDISCARD,
        Index::VWERASE,
        Index::VLNEXT,
        Index::VEOL2,
    ]
    .map(|index| flags.special_codes[index])
}

impl Mirror {
    fn new(real: &OwnedFd) -> Option<Self> {
        let known = as_ours(&tcgetattr(real).ok()?);
        let real = opened_anew(real, OFlags::RDWR | OFlags::NONBLOCK)?;
        Some(Self { real, known, passes_keys: false })
    }

    /// To be polled for keys.
    fn wanted_keys(&self, run: Option<&RunStat>) -> Option<&OwnedFd> {
        (self.passes_keys && run.is_some_and(RunStat::is_in_foreground)).then_some(&self.real)
    }

    /// Keeps the flags alike. `ours` is the pseudo-terminal's master.
    fn follow(&mut self, ours: &OwnedFd, ours_now: &Termios, run: Option<&RunStat>) {
        let Ok(real_now) = tcgetattr(&self.real) else { return };
        let wanted = as_ours(ours_now);
        let (ours_changed, real_changed) = (!alike(&wanted, &self.known), !alike(&as_ours(&real_now), &self.known));
        // What a program in the background does is not for the real terminal: a later look shows it again.
        if !(ours_changed || real_changed) || !run.is_some_and(RunStat::is_in_foreground) {
            return;
        }
        if ours_changed {
            let mut changed = wanted.clone();
            changed.local_modes -= LocalModes::EXTPROC;
            changed.control_modes = real_now.control_modes;
            let _ = tcsetattr(&self.real, OptionalActions::Now, &changed);
            self.passes_keys = !wanted.local_modes.contains(LocalModes::ICANON | LocalModes::ECHO);
            self.known = wanted;
        } else {
            self.known = as_ours(&real_now);
            self.passes_keys = false;
            let _ = tcsetattr(ours, OptionalActions::Now, &self.known);
        }
    }

    /// Passes on what was typed. This terminal does not control the collector, so nothing stops it for reading. Says whether
    /// the terminal is still there.
    fn pass_keys(&mut self, seen: PollFlags, ours: &OwnedFd, run: Option<&RunStat>) -> bool {
        if self.wanted_keys(run).is_none() {
            return true;
        }
        let mut keys = [0; KEYS];
        match rustix::io::read(&self.real, &mut keys) {
            Ok(count) => drop(rustix::io::write(ours, keys.get(..count).unwrap_or_default())),
            Err(Errno::INTR | Errno::AGAIN) => {}
            Err(_) => return false,
        }
        !seen.intersects(PollFlags::HUP | PollFlags::ERR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_adds() {
        for (read, written) in [
            ("", ""),
            ("one\r\ntwo\r\n", "one\ntwo\n"),
            ("10 %\r20 %\r\r\n", "10 %\r20 %\r\n"),
            ("\r\n\r\n\n\r", "\n\n\n\r"),
        ] {
            let mut data = read.as_bytes().to_vec();
            let length = without_added_returns(&mut data);
            assert_eq!(&data[..length], written.as_bytes(), "{read:?}");
        }
    }
}
