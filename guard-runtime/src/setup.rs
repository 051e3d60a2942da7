//! Whether a run could be set up, as far as that is known without making a file, taking a lock or asking a server.

use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use guard_collector::LogFile;
use rustix::fs::Access;

use crate::config::{Config, Paths};
use crate::error::StartError;
use crate::lock::{UnusableLock, is_there, pid_namespace};
use crate::log_open::described;
use crate::probe::can_write;
use crate::verdict::Plan;

/// Looks in the order of a run, so that the first thing that is wrong is what a run would say.
///
/// # Errors
/// As a run's start; never that the lock is held.
pub(crate) fn check(config: &Config) -> Result<(), StartError> {
    let paths = config.paths()?;
    if children_have_another_namespace() {
        return Err(StartError::ChildNamespace);
    }
    let Paths { lock, log, .. } = &paths;
    #[cfg(feature = "postgres")]
    config.cluster.shown(lock, &config.arguments)?;
    let has_directory = lock.parent().is_some_and(Path::is_dir);
    let action = if has_directory { "cannot open" } else { "cannot make the directory of" };
    let unusable = |error| UnusableLock { path: lock.clone(), action, file_system: None, error };
    is_there(lock).and_then(|_| can_write(lock, Access::READ_OK)).map_err(unusable).map_err(StartError::Lock)?;
    let unopened = |error| StartError::Log { path: log.clone(), error };
    look_at_log(log, config.backups).map_err(unopened)?;
    Plan::check(config, &paths)
}

fn look_at_log(log: &Path, backups: u16) -> io::Result<()> {
    LogFile::look(log.as_os_str().as_bytes(), backups.into()).map_err(described)?;
    can_write(log, Access::empty())
}

/// `pid_namespaces(7)`: unshare(2) leaves the caller in its own. Where nobody is in the other one yet the link has no target.
pub(crate) fn children_have_another_namespace() -> bool {
    let of_children = "/proc/thread-self/ns/pid_for_children";
    let own = pid_namespace();
    match std::fs::read_link(of_children) {
        Ok(of_children) => of_children.as_os_str() != &*own,
        // Before Linux 4.12 there is no such link.
        Err(_) => std::fs::symlink_metadata(of_children).is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::can_make;

    #[test]
    fn what_could_be_made_is_told_and_not_made() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("file"), "").unwrap();
        assert!(can_make(&path("new/er/a.log")).is_ok() && can_write(&path("file"), Access::READ_OK).is_ok());
        assert_eq!(can_make(&path("file/a.log")).unwrap_err().raw_os_error(), Some(libc::ENOTDIR));
        let config =
            |lock: &str, log: &str| Config::new(path(lock).display().to_string(), path(log).display().to_string());
        assert!(check(&config("new/a.lock", "new/a.log")).is_ok());
        for (lock, log, reason) in [
            ("file/a.lock", "a.log", "cannot make the directory of the lock file "),
            ("a.lock", "file/a.log", "cannot open the log "),
            (".", "a.log", "is a directory, not a regular file"),
        ] {
            let error = check(&config(lock, log)).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
