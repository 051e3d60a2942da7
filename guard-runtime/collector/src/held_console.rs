//! Bytes for a console that is not to have them yet: a file without a name, first in, first out.
//!
//! How far they have been shown is the file's own offset, which all helpers share with the description: a standby that
//! takes over goes on where the dead collector was, and nobody has to tell it.

use core::ffi::CStr;
use core::fmt::Write as _;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, SeekFrom, fstat, ftruncate, openat, seek, unlinkat};
use rustix::io::Errno;

use crate::buffer::Buffer;

/// More is not held back: the disk is not ours.
pub(crate) const LARGEST: u64 = 1024 * 1024 * 1024;

/// The file. Its size is what was held back in all, its offset what of that was shown.
#[derive(Debug)]
pub(crate) struct HeldConsole {
    file: OwnedFd,
}

impl HeldConsole {
    /// Makes the file in `directory`, readable by its owner alone. `run` goes into a name that it has for a moment where
    /// the file system knows no nameless files.
    ///
    /// # Errors
    /// As open(2).
    pub(crate) fn create(directory: BorrowedFd<'_>, run: u64) -> Result<Self, Errno> {
        #[cfg(target_os = "linux")]
        {
            let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
            // Any refusal: which error says that there are no such files here differs by file system.
            if let Ok(file) = openat(directory, c".", flags, Mode::from_raw_mode(0o600)) {
                return Ok(Self { file });
            }
        }
        Self::create_and_unlink(directory, run)
    }

    fn create_and_unlink(directory: BorrowedFd<'_>, run: u64) -> Result<Self, Errno> {
        let mut room = [0; 64];
        let mut name = Buffer::new(&mut room);
        write!(name, ".console.{run:016x}.tmp\0").map_err(|_| Errno::NAMETOOLONG)?;
        let name = CStr::from_bytes_with_nul(&name).map_err(|_| Errno::INVAL)?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(directory, name, flags, Mode::from_raw_mode(0o600))?;
        unlinkat(directory, name, AtFlags::empty())?;
        Ok(Self { file })
    }

    /// The file, for the list of descriptors that a helper keeps.
    pub(crate) fn descriptor(&self) -> &OwnedFd {
        &self.file
    }

    /// Nobody is to have it any more. Other helpers have it open too, and their disk its room.
    pub(crate) fn discard(self) {
        let _ = ftruncate(&self.file, 0);
    }

    /// Bytes that were held back and not shown yet.
    pub(crate) fn waiting(&self) -> u64 {
        let size = self.size();
        // Past the end: a helper died between the two steps of `start_over`, and all was shown.
        size.saturating_sub(seek(&self.file, SeekFrom::Current(0)).unwrap_or(size))
    }

    /// Holds `bytes` back, as many from the front as there is room for; says how many. The rest cannot wait here: no room
    /// on the disk, or past [`LARGEST`].
    ///
    /// # Errors
    /// As pwrite(2), where none was taken.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        let size = self.size();
        let room = usize::try_from(LARGEST.saturating_sub(size)).unwrap_or(usize::MAX);
        let mut rest = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        let mut end = size;
        while !rest.is_empty() {
            match rustix::io::pwrite(&self.file, rest, end) {
                Ok(0) => break,
                Ok(count) => {
                    end += count as u64;
                    rest = rest.get(count..).unwrap_or_default();
                }
                Err(Errno::INTR) => {}
                Err(error) if end == size => return Err(error),
                Err(_) => break,
            }
        }
        Ok((end - size) as usize)
    }

    /// Shows what was held back, a buffer at a time, until `show` takes less than it is given or everything was shown.
    /// Says how many bytes were. `show` returns how many it took; what it did not take is shown again next time.
    ///
    /// A helper that dies in here takes with it what was in the buffer, no more.
    ///
    /// # Errors
    /// Of `show`, and of read(2).
    pub(crate) fn show(
        &mut self,
        buffer: &mut [u8],
        mut show: impl FnMut(&[u8]) -> Result<usize, Errno>,
    ) -> Result<u64, Errno> {
        let mut shown = 0;
        loop {
            let count = match rustix::io::read(&self.file, &mut *buffer) {
                Ok(0) => {
                    self.start_over();
                    return Ok(shown);
                }
                Ok(count) => count,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error),
            };
            let taken = match show(buffer.get(..count).unwrap_or_default()) {
                Ok(taken) => taken.min(count),
                Err(error) => {
                    self.go_back(count);
                    return Err(error);
                }
            };
            shown += taken as u64;
            if taken < count {
                self.go_back(count - taken);
                return Ok(shown);
            }
        }
    }

    fn size(&self) -> u64 {
        fstat(&self.file).map_or(0, |stat| stat.st_size as u64)
    }

    fn go_back(&self, bytes: usize) {
        let _ = seek(&self.file, SeekFrom::Current(-(bytes as i64)));
    }

    fn start_over(&mut self) {
        // In this order: an offset past the end reads as nothing, the other way round all would be shown again.
        if ftruncate(&self.file, 0).is_ok() {
            let _ = seek(&self.file, SeekFrom::Start(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;
    use std::os::unix::fs::MetadataExt;

    use proptest::prelude::*;

    use super::*;

    fn held() -> (tempfile::TempDir, HeldConsole) {
        let path = tempfile::tempdir().unwrap();
        let held = HeldConsole::create(File::open(path.path()).unwrap().as_fd(), 1).unwrap();
        (path, held)
    }

    fn shown(held: &mut HeldConsole, at_once: usize) -> Vec<u8> {
        let mut all = Vec::new();
        let show = |bytes: &[u8]| {
            all.extend_from_slice(bytes);
            Ok(bytes.len())
        };
        held.show(&mut vec![0; at_once], show).unwrap();
        all
    }

    #[test]
    fn it_has_no_name_and_is_for_its_owner_alone() {
        let (path, held) = held();
        let by_name = HeldConsole::create_and_unlink(File::open(path.path()).unwrap().as_fd(), 1).unwrap();
        for held in [held, by_name] {
            let stat = fstat(held.descriptor()).unwrap();
            assert_eq!((stat.st_mode & 0o7777, stat.st_nlink), (0o600, 0));
        }
        assert_eq!(std::fs::read_dir(path.path()).unwrap().count(), 0);
    }

    #[test]
    fn first_in_first_out_and_the_room_is_given_back() {
        let (_path, mut held) = held();
        assert_eq!(held.append(b"one "), Ok(4));
        assert_eq!(held.append(b"two "), Ok(4));
        assert_eq!(held.waiting(), 8);
        assert_eq!(shown(&mut held, 3), b"one two ");
        assert_eq!(held.append(b"three"), Ok(5));
        assert_eq!(shown(&mut held, 100), b"three");
        assert_eq!((held.waiting(), held.size()), (0, 0));
    }

    #[test]
    fn what_a_console_does_not_take_or_refuses_stays() {
        let (_path, mut held) = held();
        held.append(b"0123456789").unwrap();
        assert_eq!(held.show(&mut [0; 4], |bytes| Ok(bytes.len().min(3))), Ok(3));
        assert_eq!(held.show(&mut [0; 4], |_| Err(Errno::PIPE)), Err(Errno::PIPE));
        assert_eq!(held.show(&mut [0; 4], |_| Ok(0)), Ok(0));
        assert_eq!(held.waiting(), 7);
        held.append(b"ab").unwrap();
        assert_eq!(shown(&mut held, 4), b"3456789ab");
    }

    #[test]
    fn a_pipe_that_stalls_gets_it_in_order_once_it_moves() {
        let (_path, mut held) = held();
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        rustix::io::ioctl_fionbio(&writer, true).unwrap();
        let text: Vec<u8> = (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect();
        held.append(&text).unwrap();
        let mut buffer = vec![0; 64 * 1024];
        let mut read = Vec::new();
        let mut show = |held: &mut HeldConsole| {
            held.show(&mut buffer, |bytes| match rustix::io::write(&writer, bytes) {
                Err(Errno::AGAIN) => Ok(0),
                result => result,
            })
        };
        while held.waiting() > 0 {
            let count = show(&mut held).unwrap() as usize;
            let start = read.len();
            read.resize(start + count, 0);
            std::io::Read::read_exact(&mut File::from(reader.try_clone().unwrap()), &mut read[start..]).unwrap();
        }
        assert_eq!(read, text);
    }

    #[test]
    #[allow(unsafe_code)]
    fn a_standby_goes_on_where_the_dead_one_was() {
        let (_path, mut held) = held();
        held.append(b"0123456789").unwrap();
        // SAFETY: the child makes system calls only.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let _ = held.append(b"abc");
            let mut calls = 0;
            let _ = held.show(&mut [0; 4], |bytes| {
                calls += 1;
                if calls == 2 {
                    // Killed with the second piece in its hands, which is lost.
                    // SAFETY: ends the child.
                    unsafe { libc::_exit(0) }
                }
                Ok(bytes.len())
            });
        }
        // SAFETY: waits for the child forked above.
        assert_eq!(unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) }, child);
        assert_eq!(shown(&mut held, 100), b"89abc");
    }

    #[test]
    fn no_room() {
        let (path, mut held) = held();
        ftruncate(&held.file, LARGEST - 3).unwrap();
        assert_eq!(held.append(b"12345"), Ok(3));
        assert_eq!(held.append(b"45"), Ok(0));
        let metadata = path.path().metadata().unwrap();
        assert!(metadata.blocks() < 1000, "the test's file has holes");
        let Ok(full) = File::options().read(true).write(true).open("/dev/full") else { return };
        let mut held = HeldConsole { file: full.into() };
        assert_eq!(held.append(b"x"), Err(Errno::NOSPC));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Append(Vec<u8>),
        Show { buffer: usize, taken: usize },
        Takeover,
    }

    proptest! {
        #[test]
        fn any_steps_lose_and_repeat_nothing(steps in prop::collection::vec(prop_oneof![
            any::<Vec<u8>>().prop_map(Step::Append),
            (1..50_usize, 0..200_usize).prop_map(|(buffer, taken)| Step::Show { buffer, taken }),
            Just(Step::Takeover),
        ], 0..30)) {
            let (_path, mut held) = held();
            let (mut expected, mut seen) = (Vec::new(), Vec::new());
            for step in steps {
                match step {
                    Step::Append(bytes) => {
                        prop_assert_eq!(held.append(&bytes), Ok(bytes.len()));
                        expected.extend(bytes);
                    }
                    Step::Show { buffer, mut taken } => {
                        held.show(&mut vec![0; buffer], |bytes| {
                            let count = bytes.len().min(taken);
                            taken -= count;
                            seen.extend_from_slice(&bytes[..count]);
                            Ok(count)
                        }).unwrap();
                    }
                    Step::Takeover => held = HeldConsole { file: held.file.try_clone().unwrap() },
                }
                prop_assert_eq!(held.waiting() as usize, expected.len() - seen.len());
            }
            seen.extend(shown(&mut held, 7));
            prop_assert_eq!(seen, expected);
        }
    }
}
