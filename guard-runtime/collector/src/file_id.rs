//! Which file a descriptor or a name leads to.

use rustix::fd::AsFd;
use rustix::fs::Stat;

/// A file, pipe, socket or terminal, by device and inode: two that are equal are the same while one of them is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileId {
    /// `st_dev` of stat(2).
    pub device: u64,
    /// `st_ino` of stat(2).
    pub inode: u64,
}

impl FileId {
    /// Where an open descriptor leads; `None` where it is closed.
    pub fn of(descriptor: impl AsFd) -> Option<Self> {
        rustix::fs::fstat(descriptor).ok().map(|stat| Self::from(&stat))
    }
}

#[allow(clippy::unnecessary_cast, reason = "other systems have other widths")]
impl From<&Stat> for FileId {
    fn from(stat: &Stat) -> Self {
        Self { device: stat.st_dev as u64, inode: stat.st_ino as u64 }
    }
}

/// Both are open and lead to the same file, pipe, socket or terminal.
pub fn same_place(one: impl AsFd, other: impl AsFd) -> bool {
    FileId::of(one).is_some_and(|one| Some(one) == FileId::of(other))
}
