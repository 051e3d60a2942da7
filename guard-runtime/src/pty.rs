//! A pseudo-terminal in the place of a stream's pipe, where the stream leads to a terminal: so that the program and its
//! children see one too.

use std::io;
use std::os::fd::OwnedFd;

use guard_collector::{as_ours, sys};
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use crate::descriptor::above_standard;

/// Makes one like the real terminal: the collector's end and the program's.
///
/// Says whether changes of its flags are told ([`sys::tell_of_changes`]): then it has the real terminal's, and the collector
/// takes out what it adds. Otherwise it is raw. Either way the real terminal does with every byte what it would have done
/// without us.
///
/// # Errors
/// Where there is none to be had: no /dev/ptmx or no room for one more, /dev/pts of another namespace.
pub(crate) fn open_like(real: &OwnedFd) -> io::Result<(OwnedFd, OwnedFd, bool)> {
    let ours = above_standard(open_master()?)?;
    grantpt(&ours)?;
    unlockpt(&ours)?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let program = above_standard(open(ptsname(&ours, Vec::new())?, flags, Mode::empty())?)?;
    let mut attributes = tcgetattr(real)?;
    let tells = sys::tell_of_changes(&ours);
    if tells {
        attributes = as_ours(&attributes);
    } else {
        attributes.make_raw();
    }
    tcsetattr(&program, OptionalActions::Now, &attributes)?;
    // Ours alone: the programs' end has a description of its own.
    rustix::io::ioctl_fionbio(&ours, true)?;
    let _ = tcgetwinsize(real).and_then(|size| tcsetwinsize(&ours, size));
    Ok((ours, program, tells))
}

/// Closed on exec. Where that cannot be asked for with the opening, a child that another thread starts in between keeps it.
fn open_master() -> io::Result<OwnedFd> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
    #[cfg(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd"))]
    return Ok(openpt(flags | OpenptFlags::CLOEXEC)?);
    #[cfg(not(any(target_os = "linux", target_os = "freebsd", target_os = "netbsd")))]
    {
        let master = openpt(flags)?;
        rustix::io::fcntl_setfd(&master, rustix::io::FdFlags::CLOEXEC)?;
        Ok(master)
    }
}
