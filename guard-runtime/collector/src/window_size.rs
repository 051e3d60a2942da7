//! The size of the real terminal, passed on to the pseudo-terminal in its place.

use rustix::fd::OwnedFd;
use rustix::termios::{Winsize, tcgetwinsize, tcsetwinsize};

/// Passes the size on, if it has changed. Says whether it has.
pub(crate) fn follow_resize(real: &OwnedFd, ours: &OwnedFd) -> bool {
    let sides = |size: Winsize| [size.ws_row, size.ws_col, size.ws_xpixel, size.ws_ypixel];
    let (Ok(real), Ok(known)) = (tcgetwinsize(real), tcgetwinsize(ours)) else { return false };
    sides(real) != sides(known) && tcsetwinsize(ours, real).is_ok()
}
