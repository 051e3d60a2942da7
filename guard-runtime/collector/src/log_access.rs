//! Who may read and write the log: what a new file has from the one before it.

use rustix::fd::OwnedFd;
use rustix::fs::{Gid, Mode, RawMode, Uid, fchmod, fchown, fstat};

use crate::refusal::raw_mode;
use crate::sys;

/// Bytes of an access control list, at most: 32 entries (acl(5) as the kernel stores it).
const ACL_CAPACITY: usize = 4 + 32 * 8;

/// Mode, owner and access control list of a file.
pub(crate) struct Access {
    mode: RawMode,
    owner: Uid,
    group: Gid,
    acl: [u8; ACL_CAPACITY],
    /// 0 where it has no list.
    acl_length: usize,
}

impl Default for Access {
    fn default() -> Self {
        Self { mode: 0o600, owner: Uid::ROOT, group: Gid::ROOT, acl: [0; ACL_CAPACITY], acl_length: 0 }
    }
}

impl Access {
    /// Reads that of an open file. What cannot be read stays as it was.
    pub(crate) fn read(&mut self, file: &OwnedFd) {
        let Ok(stat) = fstat(file) else { return };
        self.mode = raw_mode(&stat) & 0o7777;
        (self.owner, self.group) = (Uid::from_raw(stat.st_uid), Gid::from_raw(stat.st_gid));
        let acl = sys::read_acl(file, &mut self.acl);
        if acl.is_err() {
            // With a list that we cannot have, the group's bits are the most that any of its entries allows.
            self.mode = without_group(self.mode);
        }
        self.acl_length = acl.unwrap_or(0);
    }

    /// Gives it to a new file, which has been private so far. Best effort, and never more than it says: only root gives
    /// files away.
    pub(crate) fn give(&self, file: &OwnedFd) {
        // First of all, for it clears the setuid bits.
        let has_group =
            fchown(file, Some(self.owner), Some(self.group)).is_ok() || fchown(file, None, Some(self.group)).is_ok();
        let acl = self.acl.get(..self.acl_length).unwrap_or_default();
        // Without one it loses the list that its directory gave it (acl(5), default ACL).
        let has_acl = sys::write_acl(file, if has_group { acl } else { &[] }).is_ok();
        let is_exact = has_group && has_acl;
        let _ = fchmod(file, Mode::from_raw_mode(if is_exact { self.mode } else { without_group(self.mode) }));
    }
}

/// The group, which is another one, gets what everybody has.
fn without_group(mode: RawMode) -> RawMode {
    mode & (0o7707 | ((mode & 0o007) << 3))
}
