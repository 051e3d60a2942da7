//! A pseudo-terminal in the place of a stream's pipe, where the stream leads to a terminal: so that the program and its
//! children see one too.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Winsize, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use super::descriptor::above_standard;

/// More than a pseudo-terminal holds: 8 KiB on their way (Linux: `pty_common_install`; another kernel may have its 64 KiB
/// for terminals) and a page that is ready to be read.
pub(super) const ROOM: u64 = 128 * 1024;

/// Makes one like the real terminal: the collector's end and the program's.
///
/// It is raw: every byte passes as it is, and the real terminal does with it what it would have done without us.
///
/// # Errors
/// Where there is none to be had: no /dev/ptmx or no room for one more, /dev/pts of another namespace.
pub(super) fn open_like(real: &OwnedFd) -> io::Result<(OwnedFd, OwnedFd)> {
    let ours = above_standard(openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let program = above_standard(open(ptsname(&ours, Vec::new())?, flags, Mode::empty())?)?;
    let mut attributes = tcgetattr(real)?;
    attributes.make_raw();
    tcsetattr(&program, OptionalActions::Now, &attributes)?;
    // Ours alone: the programs' end has a description of its own.
    rustix::io::ioctl_fionbio(&ours, true)?;
    let _ = tcgetwinsize(real).and_then(|size| tcsetwinsize(&ours, size));
    Ok((ours, program))
}

/// Passes the real terminal's size on, if it has changed. Says whether it has.
pub(super) fn follow_resize(real: &OwnedFd, ours: &OwnedFd) -> bool {
    let sides = |size: Winsize| [size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel];
    let (Ok(real), Ok(known)) = (tcgetwinsize(real), tcgetwinsize(ours)) else { return false };
    sides(real) != sides(known) && tcsetwinsize(ours, real).is_ok()
}
