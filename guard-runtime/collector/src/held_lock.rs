//! The lock of a run that died, taken by a helper for what is left of the run.

use core::ffi::CStr;
use core::fmt::Write;

use memchr::memmem;
use rustix::event::Timespec;
use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, Mode, OFlags, Timestamps, UTIME_NOW, flock, fstat, ftruncate, futimens, lstat, open};
use rustix::io::Errno;
use rustix::process::getpgrp;

use crate::buffer::Buffer;
use crate::file_id::FileId;
use crate::stamp::Stamper;

/// The lock file's record, for those who are refused.
pub(crate) struct Record<'a> {
    /// This helper, and when it was started (0 where that cannot be told).
    pub(crate) holder: (i32, u64),
    /// The run that died.
    pub(crate) left_of: i32,
    /// When it died: microseconds since 1970.
    pub(crate) died: u64,
    /// The same after the boot.
    pub(crate) died_after_boot: u64,
    /// What is left of it: `pid 4711 (rsync)`.
    pub(crate) names: &'a [u8],
    /// Its closing line stands.
    pub(crate) is_closed: bool,
    /// The lines that the run's own record has too: program, host, boot, namespace, when the run started.
    pub(crate) common: &'a [u8],
}

/// Says in the record of a run that died that its closing line stands: the next run need not write that it ended without a
/// trace. Nothing is said where the record is another run's by now.
pub(crate) fn tell_closed(path: &CStr, run: i32, common: &[u8]) {
    if let Some(file) = open_record(path, run, common) {
        let mut room = [0; 32];
        let mut line = Buffer::new(&mut room);
        let _ = writeln!(line, "closed={run}");
        let _ = rustix::io::write(&file, &line);
    }
}

/// A sign of life of a run, for losers that cannot see its process: its lock file is as new as now.
pub(crate) fn touch(path: &CStr, run: i32, common: &[u8]) {
    if let Some(file) = open_record(path, run, common) {
        // Both times: then leave to write is enough, and the file may be another user's (utimensat(2)).
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let _ = futimens(&file, &Timestamps { last_access: now, last_modification: now });
    }
}

/// The lock file, where its record is that run's. By more than its number, which a run in another container may have too.
fn open_record(path: &CStr, run: i32, common: &[u8]) -> Option<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty()).ok()?;
    let (mut room, mut record) = ([0; 32], [0; 4096]);
    let mut first = Buffer::new(&mut room);
    let _ = writeln!(first, "pid={run}");
    let length = rustix::io::pread(&file, &mut record, 0).ok()?;
    let record = record.get(..length)?;
    (record.starts_with(&first) && memmem::find(record, common).is_some()).then_some(file)
}

/// Held as long as this, or a copy of the descriptor in a standby, lives.
pub(crate) struct HeldLock(OwnedFd);

impl HeldLock {
    /// Takes the lock where it is free.
    ///
    /// # Errors
    /// `WOULDBLOCK`: somebody else was quicker. Others as open(2), flock(2).
    pub(crate) fn try_take(path: &CStr) -> Result<Self, Errno> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = open(path, flags, Mode::empty())?;
        loop {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::INTR) => {}
                result => break result?,
            }
        }
        // A file that was removed or replaced meanwhile locks nobody out.
        let (held, named) = (fstat(&file)?, lstat(path)?);
        if FileId::from(&held) == FileId::from(&named) { Ok(Self(file)) } else { Err(Errno::STALE) }
    }

    /// Best effort: it tells losers who holds the lock, and never decides who does.
    pub(crate) fn write_record(&self, record: &Record<'_>) {
        let mut room = [0; 3072];
        let mut text = Buffer::new(&mut room);
        let ((pid, birth), died, after_boot) = (record.holder, record.died, record.died_after_boot);
        let _ = write!(text, "pid={pid}\nstarted=");
        text.extend(Stamper::default().stamp(died));
        let _ = write!(text, "\nstarted_us={died}\nstarted_after_boot_us={after_boot}\nbirth={birth}\n");
        let _ = write!(text, "left_of={}\nleft=", record.left_of);
        text.extend(record.names);
        // For the next run, should this helper die too.
        let _ = write!(text, "\nhelpers={}\n", getpgrp().as_raw_nonzero());
        if record.is_closed {
            let _ = writeln!(text, "closed={}", record.left_of);
        }
        text.extend(record.common);
        // In this order: a loser that reads it between the two finds the new one, and what is left of the old behind it.
        let written = rustix::io::pwrite(&self.0, &text, 0).unwrap_or(0);
        let _ = ftruncate(&self.0, written as u64);
    }

    /// The record of one who no longer holds the lock must not be taken for the next holder's.
    pub(crate) fn release(self) {
        let _ = ftruncate(&self.0, 0);
        // Explicitly: the standby has a copy of the descriptor.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::CString;
    use std::fs::File;
    use std::string::String;
    use std::time::SystemTime;

    use super::*;

    /// In two containers two runs may have one number.
    #[test]
    fn only_the_own_record_is_told_of() {
        const COMMON: &[u8] = b"run_started=2026-11-28T03:00:00.000000Z\nhost=a\n";
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.lock");
        let name = CString::new(path.to_str().unwrap()).unwrap();
        let own = "pid=7\nstarted=x\nrun_started=2026-11-28T03:00:00.000000Z\nhost=a\nhelpers=8\n";
        let others = [
            own.replace("pid=7", "pid=77"),
            own.replace("pid=7", "pid=8"),
            own.replace("03:00", "03:01"),
            String::new(),
        ];
        for (record, is_own) in others.into_iter().map(|other| (other, false)).chain([(own.into(), true)]) {
            std::fs::write(&path, &record).unwrap();
            let file = File::open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
            touch(&name, 7, COMMON);
            assert_eq!(file.metadata().unwrap().modified().unwrap() != SystemTime::UNIX_EPOCH, is_own, "{record}");
            tell_closed(&name, 7, COMMON);
            let told = std::fs::read_to_string(&path).unwrap();
            assert_eq!(told.strip_prefix(&record), Some(if is_own { "closed=7\n" } else { "" }));
        }
        std::fs::remove_file(&path).unwrap();
        touch(&name, 7, COMMON);
        assert!(!path.exists());
    }
}
