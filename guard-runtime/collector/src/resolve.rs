//! Follows a path to the directory that its file lies in: link by link, none of which somebody else may have planted.

use core::ffi::CStr;
use core::mem;

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, fstat, mkdirat, openat, readlinkat_raw, statat};
use rustix::io::Errno;

use crate::buffer::Buffer;
use crate::file_name::FileName;
use crate::refusal::{Refusal, planted};
use crate::sys;

/// The longest path (`PATH_MAX` of limits.h, on Linux).
pub(crate) const PATH_MAX: usize = 4096;
/// As many links as Linux follows (`path_resolution(7)`).
const MOST_LINKS: usize = 40;

/// Where a file is, or would be.
pub(crate) struct Place {
    pub directory: OwnedFd,
    pub name: FileName,
}

impl Place {
    /// Nothing of that name is there.
    pub(crate) fn is_free(&self, name: &CStr) -> bool {
        statat(&self.directory, name, AtFlags::SYMLINK_NOFOLLOW).is_err_and(|error| error == Errno::NOENT)
    }
}

/// The place that `path` leads to from the directory `start`. With `makes_directories` those that are missing are made,
/// though none that a link names.
pub(crate) fn resolve(start: impl AsFd, path: &[u8], makes_directories: bool) -> Result<Place, Refusal> {
    let mut room = [0; PATH_MAX];
    let mut rest = Buffer::new(&mut room);
    if rest.extend(path) < path.len() {
        return Err(Errno::NAMETOOLONG.into());
    }
    let mut directory = enter(start, c".")?;
    // How much of the rest the caller wrote: all but what links stand for.
    let (mut given, mut links, mut is_start) = (rest.len(), 0, true);
    loop {
        if mem::replace(&mut is_start, false) && rest.starts_with(b"/") {
            directory = enter(&directory, c"/")?;
        }
        let slashes = rest.iter().take_while(|byte| **byte == b'/').count();
        rest.discard_front(slashes);
        let is_given = rest.len() <= given;
        let end = memchr::memchr(b'/', &rest).unwrap_or(rest.len());
        let name = match rest.get(..end).unwrap_or_default() {
            b"" => b".",
            name => name,
        };
        let name = FileName::new(name).ok_or(Errno::NAMETOOLONG)?;
        rest.discard_front(end);
        given = given.min(rest.len());
        let is_last = rest.iter().all(|byte| *byte == b'/');

        match readlinkat_raw(&directory, &*name, rest.space_mut()) {
            Ok(length) => {
                // Looked at after it was read: what was put in its place meanwhile is no link that we may follow either.
                let link = statat(&directory, &*name, AtFlags::SYMLINK_NOFOLLOW)?;
                if let Some(refusal) = planted(&link, &fstat(&directory)?) {
                    return Err(refusal);
                }
                links += 1;
                // A link that fills the room may be a longer one.
                if links > MOST_LINKS || length >= rest.space() {
                    return Err(Errno::LOOP.into());
                }
                let behind = rest.len();
                rest.advance(length);
                rest.move_to_back(behind);
                is_start = true;
            }
            Err(_) if is_last => return Ok(Place { directory: usable(&directory)?, name }),
            Err(_) => {
                directory = match enter(&directory, &name) {
                    Err(Errno::NOENT) if makes_directories && is_given => {
                        match mkdirat(&directory, &*name, Mode::from_raw_mode(0o777)) {
                            Ok(()) | Err(Errno::EXIST) => enter(&directory, &name)?,
                            Err(error) => return Err(error.into()),
                        }
                    }
                    entered => entered?,
                };
            }
        }
    }
}

/// A directory on the way: it need not be readable.
fn enter(directory: impl AsFd, name: &CStr) -> Result<OwnedFd, Errno> {
    openat(directory, name, sys::SEARCH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// One that poll(2) takes, out of the way of 0, 1 and 2, which the user's code may have closed.
fn usable(directory: &OwnedFd) -> Result<OwnedFd, Errno> {
    let directory = openat(directory, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    if directory.as_raw_fd() > 2 { Ok(directory) } else { rustix::io::fcntl_dupfd_cloexec(&directory, 3) }
}
