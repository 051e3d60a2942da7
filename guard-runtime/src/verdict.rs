//! The run's side of the verdict: where it is to be told is looked at before the run starts, and all that the helpers need
//! for it is put into their memory.

use std::ffi::{CStr, CString, OsStr, c_char};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use guard_collector::{
    Hook, Identity, Moment, NAME_MAX, OnEnd, REPORT_ROOM, Report, TEMPORARY_IS_LONGER_BY, Target, Verdict,
    VerdictMemory, now,
};
use rustix::fs::{Mode, OFlags};

use crate::config::{Config, Paths};
use crate::descriptor::above_standard;
use crate::environment::packed;
use crate::error::StartError;
use crate::lock::is_there;
use crate::region::Region;
use crate::setup::can_make;

/// Where the verdict on a run is to be told.
pub(crate) struct Plan {
    status: Option<Place>,
    metrics: Option<Place>,
    on_end: Option<Command>,
    texts: Texts,
    /// The run before, of which the log says that it ended without a trace.
    told_lost: Option<i32>,
}

/// One of the two files.
struct Place {
    directory: OwnedFd,
    name: CString,
    path: PathBuf,
}

/// The command for the end, and its surroundings.
struct Command {
    text: CString,
    directory: CString,
    environment: Vec<u8>,
}

/// What is said of the run.
struct Texts {
    host: Vec<u8>,
    program: Vec<u8>,
    lock: PathBuf,
    log: PathBuf,
}

impl Plan {
    /// Makes the directories that are missing, and looks at what stands in the files' places.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub(crate) fn new(config: &Config, paths: &Paths, told_lost: Option<u32>) -> Result<Self, StartError> {
        let place = |argument, path: &Option<PathBuf>| {
            let Some(path) = path else { return Ok(None) };
            Place::open(path).map(Some).map_err(|error| StartError::Report { argument, path: path.clone(), error })
        };
        let on_end = config.on_end.as_deref().map(Command::new).transpose()?;
        let program = std::env::args_os().next().unwrap_or_default();
        let texts = Texts {
            host: rustix::system::uname().nodename().to_bytes().to_vec(),
            program: program.as_bytes().to_vec(),
            lock: paths.lock.clone(),
            log: paths.log.clone(),
        };
        let (status, metrics) = (place("status", &paths.status)?, place("metrics", &paths.metrics)?);
        Ok(Self { status, metrics, on_end, texts, told_lost: told_lost.map(|pid| pid as i32) })
    }

    /// What keeps [`new`](Self::new) from working, as far as it is known before a directory is made.
    ///
    /// # Errors
    /// As `new`.
    pub(crate) fn check(config: &Config, paths: &Paths) -> Result<(), StartError> {
        config.on_end.as_deref().map(Command::new).transpose()?;
        for (argument, path) in [("status", &paths.status), ("metrics", &paths.metrics)] {
            let Some(path) = path else { continue };
            let is_possible = Place::check(path).and_then(|()| can_make(path));
            is_possible.map_err(|error| StartError::Report { argument, path: path.clone(), error })?;
        }
        Ok(())
    }

    /// Private memory that [`lend`](Self::lend) takes.
    pub(crate) fn memory(&self) -> usize {
        const ALIGNMENT: usize = 64;
        let place = |place: &Option<Place>| {
            place.as_ref().map_or(0, |place| place.name.as_bytes().len() + place.path.as_os_str().len() + 4 * ALIGNMENT)
        };
        let Texts { host, program, lock, log } = &self.texts;
        let texts = host.len() + program.len() + 2 * lock.as_os_str().len() + log.as_os_str().len() + 8 * ALIGNMENT;
        let on_end = self.on_end.as_ref().map_or(0, |on_end| {
            let bytes = on_end.text.as_bytes().len() + on_end.directory.as_bytes().len() + on_end.environment.len();
            bytes + on_end.hook().pointers() * size_of::<*const c_char>() + OnEnd::MEMORY + 8 * ALIGNMENT
        });
        place(&self.status) + place(&self.metrics) + texts + on_end + self.scratch() + ALIGNMENT
    }

    fn scratch(&self) -> usize {
        let is_needed = self.status.is_some() || self.metrics.is_some() || self.on_end.is_some();
        if is_needed { REPORT_ROOM } else { 0 }
    }

    /// Copies everything into the helpers' memory.
    pub(crate) fn lend(self, memory: &mut Region, shared: &mut Region) -> Verdict {
        let scratch = self.scratch();
        let Self { status, metrics, on_end, texts, told_lost } = self;
        let task = texts.lock.file_stem().unwrap_or_default().to_owned();
        let pid = rustix::process::getpid();
        let identity = Identity {
            run: RandomState::new().hash_one(now()),
            pid: pid.as_raw_nonzero().get(),
            host: copied(&texts.host, memory),
            program: copied(&texts.program, memory),
            lock: copied(texts.lock.as_os_str().as_bytes(), memory),
            log: copied(texts.log.as_os_str().as_bytes(), memory),
            task: copied(task.as_bytes(), memory),
            started: Moment(now()),
        };
        let mut target = |place: Option<Place>| {
            place.map(|Place { directory, name, path }| {
                Target::new(directory, copied_string(&name, memory), copied(path.as_os_str().as_bytes(), memory))
            })
        };
        let report = Report::new(identity, target(status), target(metrics));
        let on_end = on_end.map(|on_end| {
            let hook = Hook {
                command: copied_string(&on_end.text, memory),
                directory: copied_string(&on_end.directory, memory),
                environment: copied(&on_end.environment, memory),
            };
            let pointers = memory.lend_pointers(hook.pointers());
            OnEnd::new(hook, pointers, &mut |bytes| memory.lend(bytes))
        });
        Verdict::new(pid, shared.place(VerdictMemory::default()), report, memory.lend(scratch), on_end, told_lost)
    }
}

impl Place {
    fn open(path: &Path) -> io::Result<Self> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::other("is not the path of a file"));
        };
        std::fs::create_dir_all(parent)?;
        Self::check(path)?;
        // Where a file is to be put, it must be possible to put one: found out now, not when nobody looks on.
        rustix::fs::access(parent, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK)?;
        let directory = rustix::fs::open(parent, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let name = CString::new(name.as_bytes())?;
        Ok(Self { directory: above_standard(directory)?, name, path: path.to_path_buf() })
    }

    fn check(path: &Path) -> io::Result<()> {
        is_there(path)?;
        let longest = path.file_name().map_or(0, OsStr::len) + TEMPORARY_IS_LONGER_BY;
        if longest > NAME_MAX {
            let limit =
                format!("has a name of {longest} bytes as a temporary file; a file's name has at most {NAME_MAX}");
            return Err(io::Error::other(limit));
        }
        Ok(())
    }
}

impl Command {
    fn new(command: &str) -> Result<Self, StartError> {
        let directory = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let text = |text: &OsStr| {
            let what = || StartError::Argument { what: format!("on_end = {command:?}: has a NUL byte in it") };
            CString::new(text.as_bytes()).map_err(|_| what())
        };
        let (line, directory) = (text(OsStr::new(command))?, text(directory.as_os_str())?);
        Ok(Self { text: line, directory, environment: packed(std::env::vars_os()) })
    }

    fn hook(&self) -> Hook<'_> {
        Hook { command: &self.text, directory: &self.directory, environment: &self.environment }
    }
}

fn copied(bytes: &[u8], memory: &mut Region) -> &'static [u8] {
    let place = memory.lend(bytes.len());
    place.copy_from_slice(bytes);
    place
}

fn copied_string(text: &CStr, memory: &mut Region) -> &'static CStr {
    CStr::from_bytes_with_nul(copied(text.to_bytes_with_nul(), memory)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn refused(path: &Path) -> String {
        Place::open(path).err().unwrap().to_string()
    }

    #[test]
    fn what_stands_in_the_place_is_looked_at() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        assert!(Place::open(&path("new/er/status.json")).is_ok(), "directories are made");
        fs::write(path("old.json"), "{}").unwrap();
        assert!(Place::open(&path("old.json")).is_ok());
        std::os::unix::fs::symlink(path("old.json"), path("link.json")).unwrap();
        assert_eq!(refused(&path("link.json")), "is a symbolic link, not a regular file");
        assert_eq!(refused(directory.path()), "is a directory, not a regular file");
        assert_eq!(refused(Path::new("/dev/null")), "is a character device, not a regular file");
        assert!(
            refused(&path("old.json/status.json")).contains("exists")
                || refused(&path("old.json/s")).contains("directory")
        );
        assert!(refused(&path(&"n".repeat(240))).contains("262 bytes"), "{}", refused(&path(&"n".repeat(240))));
    }
}
