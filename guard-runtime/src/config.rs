//! `Config`: everything the attribute can say, said at run time.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use guard_collector::Survivors;
use log::LevelFilter;

use crate::choices::{ConsoleMode, Tee};
#[cfg(feature = "postgres")]
use crate::cluster_config::ClusterConfig;
use crate::error::StartError;
use crate::parse::path_template;

/// How a run is locked and logged. The attribute expands to this builder.
///
/// ```
/// # let directory = tempfile::tempdir().unwrap();
/// # let (lock, log) = (directory.path().join("a.lock"), directory.path().join("a.log"));
/// # let (lock, log) = (lock.to_str().unwrap(), log.to_str().unwrap());
/// use guard_runtime::{Config, StartError};
///
/// match Config::new(lock, log).backups(30).start() {
///     Ok(guard) => {
///         println!("this reaches the console and the log");
///         drop(guard); // the log has everything, the lock is free
///     }
///     Err(StartError::Held { contention, .. }) => println!("skipped: {contention}"),
///     Err(error) => panic!("{error}"),
/// }
/// ```
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until it is started"]
pub struct Config {
    pub(crate) lock: String,
    pub(crate) log: String,
    pub(crate) max_size: u64,
    pub(crate) backups: u16,
    pub(crate) level: LevelFilter,
    pub(crate) console_level: Option<LevelFilter>,
    pub(crate) logger: bool,
    pub(crate) tee: Tee,
    pub(crate) console: ConsoleMode,
    pub(crate) wait: Option<Duration>,
    pub(crate) conflict_exit_code: u8,
    pub(crate) stuck_after: Option<Duration>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) kill_after: Option<Duration>,
    pub(crate) survivors: Survivors,
    pub(crate) status: Option<String>,
    pub(crate) metrics: Option<String>,
    pub(crate) on_end: Option<String>,
    pub(crate) arguments: Vec<(String, String)>,
    #[cfg(feature = "postgres")]
    pub(crate) cluster: ClusterConfig,
}

/// The files of a run, their templates filled in.
pub(crate) struct Paths {
    pub(crate) lock: PathBuf,
    pub(crate) log: PathBuf,
    pub(crate) status: Option<PathBuf>,
    pub(crate) metrics: Option<PathBuf>,
}

/// What the path templates stand for, or what is wrong with each.
pub(crate) struct Expanded {
    pub(crate) lock: Result<PathBuf, String>,
    pub(crate) log: Result<PathBuf, String>,
    pub(crate) status: Option<Result<PathBuf, String>>,
    pub(crate) metrics: Option<Result<PathBuf, String>>,
}

impl Config {
    /// From SIGTERM to SIGKILL, unless [`Config::kill_after`] says otherwise.
    pub(crate) const KILL_AFTER: Duration = Duration::from_secs(30);

    /// The most backups a log can have.
    pub const MAX_BACKUPS: u16 = 999;

    /// Two path templates: the lock file (created with mode 0600, never deleted) and the log file (its backups are
    /// `LOG.1`, the newest, to `LOG.N`). `~`, `$VAR`, `${VAR}`, `${VAR:-default}` are filled in at the start, `$$` is a
    /// dollar; relative paths are relative to the working directory at the start.
    pub fn new(lock: impl Into<String>, log: impl Into<String>) -> Self {
        Self {
            lock: lock.into(),
            log: log.into(),
            max_size: 5_000_000,
            backups: 5,
            level: LevelFilter::Info,
            console_level: None,
            logger: true,
            tee: Tee::Both,
            console: ConsoleMode::Always,
            wait: None,
            conflict_exit_code: 0,
            stuck_after: None,
            timeout: None,
            kill_after: None,
            survivors: Survivors::Hold,
            status: None,
            metrics: None,
            on_end: None,
            arguments: Vec::new(),
            #[cfg(feature = "postgres")]
            cluster: ClusterConfig::default(),
        }
    }

    /// No log file grows past so many bytes, unless a single line is longer. Default: 5,000,000.
    /// [`parse_size`](crate::parse_size) reads texts such as `"5MB"`.
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    /// How many old files are kept: 0 to [`Config::MAX_BACKUPS`]; more is an error at the start. Default: 5.
    pub fn backups(mut self, files: u16) -> Self {
        self.backups = files;
        self
    }

    /// Which `log` records are kept; the environment variable `RUST_LOG`, when set and not empty, replaces it
    /// (`info,hyper=warn`). Default: `Info`.
    pub fn level(mut self, level: LevelFilter) -> Self {
        self.level = level;
        self
    }

    /// Which of the kept records are also shown on the console (on standard error). Default: all of them.
    pub fn console_level(mut self, level: LevelFilter) -> Self {
        self.console_level = Some(level);
        self
    }

    /// Whether a `log` logger is installed. Without, the program brings its own, whose output is captured as printed
    /// text. Default: true.
    pub fn logger(mut self, install: bool) -> Self {
        self.logger = install;
        self
    }

    /// Which raw streams are captured. Default: both.
    pub fn tee(mut self, tee: Tee) -> Self {
        self.tee = tee;
        self
    }

    /// When the console gets what the run prints: at once, or only if the run fails in any way, `kill -9` included. On a
    /// terminal it is always at once. Default: at once.
    pub fn console(mut self, mode: ConsoleMode) -> Self {
        self.console = mode;
        self
    }

    /// The exit code that [`StartError::exit_code`] has for a held lock. Default: 0. It is the attribute that exits; the
    /// builder only tells.
    pub fn conflict_exit_code(mut self, code: u8) -> Self {
        self.conflict_exit_code = code;
        self
    }

    /// How long to wait for a held lock, by the monotonic clock; announced on standard error. Default: not at all.
    /// [`parse_duration`](crate::parse_duration) reads texts such as `"5m"`.
    pub fn wait(mut self, patience: Duration) -> Self {
        self.wait = Some(patience);
        self
    }

    /// A holder that is known to have run longer than this is [`StartError::Stuck`]: a run that hangs must not go
    /// unnoticed. Default: never.
    pub fn stuck_after(mut self, limit: Duration) -> Self {
        self.stuck_after = Some(limit);
        self
    }

    /// A run that takes longer, by the monotonic clock, is ended together with its processes: SIGTERM, and SIGKILL
    /// [`Config::kill_after`] later. More than zero. Default: it may take as long as it likes.
    ///
    /// Its processes are its descendants at that moment, and whoever was started since and holds a captured stream open. One
    /// that has given up both is beyond reach.
    pub fn timeout(mut self, limit: Duration) -> Self {
        self.timeout = Some(limit);
        self
    }

    /// How long processes have to end after SIGTERM, before SIGKILL. With [`Config::timeout`] or [`Survivors::Kill`] only;
    /// alone it is an error at the start. Default: 30 s.
    pub fn kill_after(mut self, grace: Duration) -> Self {
        self.kill_after = Some(grace);
        self
    }

    /// What becomes of the processes that a run leaves when it dies: of a signal, of its timeout, of an abort. Those of a run
    /// that ends well live on. Default: [`Survivors::Hold`].
    pub fn survivors(mut self, survivors: Survivors) -> Self {
        self.survivors = survivors;
        self
    }

    /// The path template of a JSON file that says whether the run goes on, how it ended, and when one last succeeded;
    /// replaced as a whole at the start and at the end, also where the run was killed. Default: none.
    pub fn status(mut self, path: impl Into<String>) -> Self {
        self.status = Some(path.into());
        self
    }

    /// The path template of the same for Prometheus, read by `node_exporter`'s textfile collector: its name must end in
    /// `.prom`. Default: none.
    pub fn metrics(mut self, path: impl Into<String>) -> Self {
        self.metrics = Some(path.into());
        self
    }

    /// A command for `/bin/sh -c`, run once log, status and metrics say how the run ended and the lock is free, also where
    /// the run was killed. Default: none. The attribute's documentation says what it is told, and what it may do.
    pub fn on_end(mut self, command: impl Into<String>) -> Self {
        self.on_end = Some(command.into());
        self
    }

    /// What `{name}` stands for in the templates: the value's `Display`, in which every byte but `A-Z a-z 0-9 . _ -` is
    /// written `%XX`, so that no value leaves its directory and no two are the same. An empty value, `.` and `..` are an error
    /// at the start, where a template names them. `{{` and `}}` are braces. Of two values for a name the first counts.
    ///
    /// ```no_run
    /// use guard_runtime::Config;
    /// let tenant = "north";
    /// let config = Config::new("~/.local/state/sync-{tenant}.lock", "logs/{tenant}.log").argument("tenant", &tenant);
    /// ```
    pub fn argument(mut self, name: &str, value: &impl fmt::Display) -> Self {
        self.arguments.push((name.into(), value.to_string()));
        self
    }

    /// An ordinary skip, or a wait for the lock, is no failure: where the console is for those, and nobody looks on, it is not
    /// mailed either.
    pub(crate) fn tells_of_skips(&self) -> bool {
        self.console == ConsoleMode::Always || rustix::termios::isatty(rustix::stdio::stderr())
    }

    /// Fills the templates in, and looks whether everything goes together.
    pub(crate) fn paths(&self) -> Result<Paths, StartError> {
        if self.backups > Self::MAX_BACKUPS || self.max_size == 0 {
            let Self { backups, max_size, .. } = self;
            let what = format!("backups must be 0 to 999 (it is {backups}), max_size at least 1 (it is {max_size})");
            return Err(StartError::Argument { what });
        }
        #[cfg(feature = "postgres")]
        self.cluster.check()?;
        if self.timeout == Some(Duration::ZERO) {
            return Err(StartError::Argument { what: "timeout must be more than zero".into() });
        }
        if self.kill_after.is_some() && self.timeout.is_none() && self.survivors != Survivors::Kill {
            let what = "kill_after says how long SIGTERM has; give it together with timeout or survivors = \"kill\"";
            return Err(StartError::Argument { what: what.into() });
        }
        let Expanded { lock, log, status, metrics } = self.expanded();
        let wrong = |name, template: &str, wrong| {
            let what = format!("{name} = \"{template}\": {wrong}");
            StartError::Argument { what }
        };
        let lock = lock.map_err(|error| wrong("lock", &self.lock, error))?;
        let log = log.map_err(|error| wrong("log", &self.log, error))?;
        if leads_to_the_log(&lock, &log) {
            let what = format!(
                "lock = {}: names the log {} or one of its backups; give the lock a file of its own",
                lock.display(),
                log.display()
            );
            return Err(StartError::Argument { what });
        }
        let optional = |name, template: &Option<String>, path: Option<Result<PathBuf, String>>| {
            let Some(path) = path else { return Ok(None) };
            let path = path.map_err(|error| wrong(name, template.as_deref().unwrap_or_default(), error))?;
            if leads_to_the_log(&path, &log) || resolved(&path) == resolved(&lock) {
                let what = format!(
                    "{name} = {}: names the lock, the log or a backup; give it a file of its own",
                    path.display()
                );
                return Err(StartError::Argument { what });
            }
            Ok(Some(path))
        };
        let status = optional("status", &self.status, status)?;
        let metrics = optional("metrics", &self.metrics, metrics)?;
        if let Some(path) = metrics.as_ref().filter(|path| path.extension().is_none_or(|ending| ending != "prom")) {
            let what = format!("metrics = {}: node_exporter reads files whose name ends in .prom", path.display());
            return Err(StartError::Argument { what });
        }
        Ok(Paths { lock, log, status, metrics })
    }

    /// Fills the templates in, each by itself.
    pub(crate) fn expanded(&self) -> Expanded {
        let expand = |template: &str, suffix: usize| {
            let variable = |name: &std::ffi::OsStr| -> Option<OsString> { std::env::var_os(name) };
            let path = fits(path_template::expand(template, &self.arguments, variable)?, suffix)?;
            std::path::absolute(path).map_err(|error| error.to_string())
        };
        let report = |template: &Option<String>| template.as_ref().map(|template| expand(template, TEMPORARY_SUFFIX));
        Expanded {
            lock: expand(&self.lock, 0),
            log: expand(&self.log, format!(".{}", self.backups).len()),
            status: report(&self.status),
            metrics: report(&self.metrics),
        }
    }
}

/// What the name of a temporary file beside the status or the metrics has more than theirs.
const TEMPORARY_SUFFIX: usize = "..tmp".len() + 16;

/// A path, if its last name has room for what is put behind it.
fn fits(path: PathBuf, suffix: usize) -> Result<PathBuf, String> {
    /// `NAME_MAX` of every file system that matters.
    const LONGEST: usize = 255;
    let length = path.file_name().map_or(0, std::ffi::OsStr::len) + suffix;
    if length > LONGEST {
        return Err(format!("the file's name would have {length} bytes, and at most {LONGEST} are possible"));
    }
    Ok(path)
}

/// Whether `lock` is `log` or `log.N`.
fn names_the_log(lock: &Path, log: &Path) -> bool {
    let (lock, log) = (lock.as_os_str().as_encoded_bytes(), log.as_os_str().as_encoded_bytes());
    lock.strip_prefix(log).is_some_and(|rest| {
        rest.is_empty()
            || matches!(rest, [b'.', number @ ..] if !number.is_empty() && number.iter().all(u8::is_ascii_digit))
    })
}

/// The same of what the two lead to.
fn leads_to_the_log(path: &Path, log: &Path) -> bool {
    let name = |path: &Path| path.file_name().map(PathBuf::from).unwrap_or_default();
    // Two names that differ lead to one file only through a link in the last place.
    let may_lead = names_the_log(&name(path), &name(log)) || [path, log].iter().any(|path| path.is_symlink());
    may_lead && names_the_log(&resolved(path), &resolved(log))
}

/// With the links of its directory resolved, where that is there.
fn resolved(path: &Path) -> PathBuf {
    if let Ok(whole) = path.canonicalize() {
        return whole;
    }
    match (path.parent().and_then(|parent| parent.canonicalize().ok()), path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path.to_path_buf(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_may_not_be_the_log_or_a_backup() {
        for (lock, wrong) in [("/a/x.log", true), ("/a/x.log.3", true), ("/a/x.log.lock", false), ("/a/x", false)] {
            assert_eq!(names_the_log(Path::new(lock), Path::new("/a/x.log")), wrong, "{lock}");
        }
    }

    #[test]
    fn limits_are_checked_at_the_start_too() {
        let is_right =
            |backups, size: u64| Config::new("a.lock", "a.log").backups(backups).max_size(size).paths().is_ok();
        assert!(is_right(999, 1) && is_right(0, 1));
        assert!(!is_right(1000, 1) && !is_right(999, 0));
    }

    /// Under another name too; and what stands in the backup is untouched.
    #[test]
    fn such_a_lock_is_refused_at_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let backup = directory.path().join("a.log.1");
        std::fs::write(&backup, "archived").unwrap();
        std::os::unix::fs::symlink(directory.path(), directory.path().join("link")).unwrap();
        std::os::unix::fs::symlink(&backup, directory.path().join("other")).unwrap();
        for lock in ["a.log", "a.log.1", "link/a.log.1", "other"] {
            let [lock, log] = [lock, "a.log"].map(|name| directory.path().join(name).display().to_string());
            let error = Config::new(lock, log).start().err().unwrap();
            assert!(matches!(&error, StartError::Argument { what } if what.contains("one of its backups")), "{error}");
        }
        assert_eq!(std::fs::read_to_string(backup).unwrap(), "archived");
    }

    #[test]
    fn an_unset_variable_is_named() {
        let error = Config::new("${SURELY_NOT_SET}/a.lock", "a.log").start().err().unwrap();
        assert!(matches!(&error, StartError::Argument { what } if what.contains("SURELY_NOT_SET")), "{error}");
        assert_eq!(error.exit_code(), 73);
    }
}
