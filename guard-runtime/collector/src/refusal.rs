//! Why a file is not used: what the kernel says of it, what kind it is, and whether somebody else may have put it there.

use core::fmt::{self, Display, Formatter};

use rustix::fs::{FileType, RawMode, Stat};
use rustix::io::Errno;
use rustix::process::geteuid;

/// Why a file is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// What the kernel says.
    Os(Errno),
    /// It is a thing of that kind.
    NotRegular(&'static str),
    /// It may have been planted: it belongs to another user, in a directory where anybody may put files.
    Planted,
    /// The same of a symbolic link on the way to it.
    PlantedLink,
    /// The same of the backup with that number.
    PlantedBackup(u32),
    /// It has a further name, in a directory where anybody may give a file of somebody else's one (link(2)).
    HardLink,
    /// It was open, and its directory was removed since.
    DirectoryRemoved,
    /// Its name has so many bytes with the longest number of a backup.
    LongName(usize),
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        Self::Os(error)
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const FOR_ALL: &str = "in a directory where anybody may put files";
        match self {
            Self::Os(error) => write!(f, "os error {}", error.raw_os_error()),
            Self::NotRegular(kind) => write!(f, "is {kind}, not a regular file"),
            Self::Planted => write!(f, "belongs to another user, {FOR_ALL}"),
            Self::PlantedLink => write!(f, "leads through a symbolic link of another user, {FOR_ALL}"),
            Self::PlantedBackup(number) => write!(f, "has a backup, number {number}, of another user, {FOR_ALL}"),
            Self::HardLink => write!(f, "has a second name, a hard link, {FOR_ALL}"),
            Self::DirectoryRemoved => write!(f, "its directory was removed"),
            Self::LongName(bytes) => {
                let most = crate::file_name::NAME_MAX;
                write!(f, "has a name of {bytes} bytes with its backup's number; a file's name has at most {most}")
            }
        }
    }
}

#[allow(clippy::unnecessary_cast, reason = "other systems have other widths")]
pub(crate) fn raw_mode(stat: &Stat) -> RawMode {
    stat.st_mode as RawMode
}

/// What kind of file that is.
pub(crate) fn file_type(stat: &Stat) -> FileType {
    FileType::from_raw_mode(raw_mode(stat))
}

/// What a thing that is not a regular file is.
pub fn file_kind(stat: &Stat) -> Option<&'static str> {
    match file_type(stat) {
        FileType::RegularFile => None,
        FileType::Directory => Some("a directory"),
        FileType::Symlink => Some("a symbolic link"),
        FileType::Fifo => Some("a FIFO"),
        FileType::Socket => Some("a socket"),
        FileType::CharacterDevice => Some("a character device"),
        FileType::BlockDevice => Some("a block device"),
        FileType::Unknown => Some("of an unknown kind"),
    }
}

/// Anybody may put files there, and nobody may remove those of others: /tmp.
pub(crate) fn is_for_all(directory: &Stat) -> bool {
    raw_mode(directory) & 0o1002 == 0o1002
}

/// What `fs.protected_symlinks`, `protected_regular` and `protected_hardlinks` (proc(5)) keep us from using where they are
/// switched on: what somebody else may have put into a directory for all, for us to write through.
pub fn planted(file: &Stat, directory: &Stat) -> Option<Refusal> {
    if !is_for_all(directory) {
        return None;
    }
    let is_others = file.st_uid != geteuid().as_raw() && file.st_uid != directory.st_uid;
    match file_type(file) {
        FileType::Symlink if is_others => Some(Refusal::PlantedLink),
        _ if is_others => Some(Refusal::Planted),
        FileType::RegularFile if file.st_nlink > 1 => Some(Refusal::HardLink),
        _ => None,
    }
}
