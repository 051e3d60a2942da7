//! What the builder says of the cluster lock.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use crate::config::Config;
use crate::error::StartError;
use crate::lock::cluster::{OnLockLost, Session, split_name};
use crate::parse::path_template::{self, Arguments};

/// The cluster lock's part of a [`Config`].
#[derive(Clone)]
pub(crate) struct ClusterConfig {
    /// A template, with the lock's name behind `#`; may hold a password.
    lock: Option<String>,
    pub(crate) timeout: Duration,
    pub(crate) on_lost: OnLockLost,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self { lock: None, timeout: Duration::from_secs(15), on_lost: OnLockLost::Stop }
    }
}

impl fmt::Debug for ClusterConfig {
    /// Without the template: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lock = self.lock.as_ref().map(|_| format_args!("…"));
        let (timeout, on_lost) = (&self.timeout, &self.on_lost);
        f.debug_struct("ClusterConfig")
            .field("lock", &lock)
            .field("timeout", timeout)
            .field("on_lost", on_lost)
            .finish()
    }
}

impl ClusterConfig {
    pub(crate) fn check(&self) -> Result<(), StartError> {
        check_cluster_timeout(self.timeout).map_err(|what| StartError::Argument { what: what.into() })
    }

    /// The connection, and the lock's name: what stands behind `#`, else that of the lock file without its ending. No error
    /// prints a part of the template.
    pub(crate) fn place(&self, lock: &Path, arguments: &Arguments) -> Result<Option<(String, String)>, StartError> {
        let Some(template) = &self.lock else { return Ok(None) };
        let wrong = |what: String| StartError::Argument { what: format!("cluster_lock: {what}") };
        path_template::check_parts(template).map_err(|what| wrong(what.into()))?;
        let filled = path_template::fill(template, arguments, |name| std::env::var_os(name)).map_err(wrong)?;
        let filled = filled.into_string().map_err(|_| wrong("what its variables hold is not UTF-8".into()))?;
        let (connection, name) = split_name(&filled).map_err(wrong)?;
        let by_file = || lock.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Some((connection.to_owned(), name.map_or_else(by_file, str::to_owned))))
    }

    /// The lock's name and its server, which is not asked. No part of the template that may be a password's stands in it.
    pub(crate) fn shown(&self, lock: &Path, arguments: &Arguments) -> Result<Option<String>, StartError> {
        let Some((connection, name)) = self.place(lock, arguments)? else { return Ok(None) };
        // Not with the lock's name: where a `#` in a password was not encoded, that is a part of it.
        let wrong = |what| StartError::Argument { what: format!("cluster_lock: {what}") };
        let server = Session::server_of(&connection).map_err(wrong)?;
        Ok(Some(format!("`{name}` ({server})")))
    }
}

impl Config {
    /// A second lock, beyond this machine: held by PostgreSQL as long as this run's connection to it lives. A template
    /// of a URL by libpq's rules (`"${DATABASE_URL}"`, `postgres://USER@HOST/DATABASE?sslmode=verify-full`), and behind
    /// `#` the lock's name; without, that is the lock file's name without its ending. `$VAR`, `${VAR}`,
    /// `${VAR:-default}` are filled in at the start, `$$` is a dollar. Default: none.
    ///
    /// ```no_run
    /// use guard_runtime::Config;
    /// let config = Config::new("~/.local/state/nightly.lock", "nightly.log").cluster_lock("${DATABASE_URL}#nightly");
    /// ```
    pub fn cluster_lock(mut self, url: impl Into<String>) -> Self {
        self.cluster.lock = Some(url.into());
        self
    }

    /// How long the connection that holds the cluster lock may be silent: 3 s to a day; anything else is an error at the
    /// start. Default: 15 s. The lock counts as lost after 2/3 of it, and the server gives a silent connection up after 4/3.
    pub fn cluster_timeout(mut self, silence: Duration) -> Self {
        self.cluster.timeout = silence;
        self
    }

    /// What becomes of the run when the cluster lock is lost. Default: [`OnLockLost::Stop`].
    pub fn on_lock_lost(mut self, what: OnLockLost) -> Self {
        self.cluster.on_lost = what;
        self
    }
}

/// Checks `cluster_timeout`. `const`, so that a mistake in a literal is a compile error.
///
/// # Errors
/// A text that says what would be right.
pub(crate) const fn check_cluster_timeout(silence: Duration) -> Result<(), &'static str> {
    if silence.as_millis() < 3_000 {
        return Err("cluster_timeout is shorter than 3s: a network that hesitates for a second would end the run");
    }
    if silence.as_secs() > 86_400 {
        return Err("cluster_timeout is longer than a day");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(template: &str) -> Result<Option<(String, String)>, StartError> {
        Config::new("a.lock", "a.log").cluster_lock(template).cluster.place(Path::new("/x/nightly.lock"), &[])
    }

    #[test]
    fn the_name_is_given_or_the_lock_files() {
        for (template, connection, name) in [
            ("postgres://h/d", "postgres://h/d", "nightly"),
            ("postgres://h/d#other", "postgres://h/d", "other"),
            ("${SURELY_NOT_SET:-postgres://h}/d#$$x", "", ""),
        ] {
            match place(template) {
                Ok(place) => assert_eq!(place, Some((connection.into(), name.into()))),
                Err(error) => assert!(error.to_string().contains("behind `#`"), "{error}"),
            }
        }
    }

    #[test]
    fn no_error_prints_a_part_of_it() {
        for template in
            ["postgres://u:hunter2${@h", "postgres://u:hunter2$@h", "hunter2${SURELY_NOT_SET}", "hunter2#h 2"]
        {
            let error = place(template).unwrap_err();
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let config = Config::new("a.lock", "a.log").cluster_lock("postgres://u:hunter2@h");
        assert!(!format!("{config:?}").contains("hunter2"), "{config:?}");
    }

    #[test]
    fn a_silence_is_from_3_seconds_to_a_day() {
        for (millis, is_right) in [(2_999, false), (3_000, true), (86_400_000, true), (86_401_000, false)] {
            assert_eq!(check_cluster_timeout(Duration::from_millis(millis)).is_ok(), is_right, "{millis}");
        }
    }
}
