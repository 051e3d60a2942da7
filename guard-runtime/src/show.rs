//! `GUARD_SHOW`: prints what a program is compiled with, in place of a run.

use std::fmt::{Debug, Write as _};
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use guard_collector::Span;

use crate::closing_line;
use crate::config::Config;
#[cfg(feature = "postgres")]
use crate::config::Expanded;
use crate::environment::program_name;
use crate::flush::flush_stdout;
use crate::lock::recorded_holder;
use crate::setup;

/// The value is the program's name: a variable that is exported for one program keeps no other from running.
const VARIABLE: &str = "GUARD_SHOW";

/// Whether this program is to show its configuration.
pub(crate) fn is_asked_for() -> bool {
    std::env::var_os(VARIABLE).is_some_and(|name| !name.is_empty() && name == program_name())
}

/// Prints the configuration and ends the process: with 73 where a run could not be set up, else with 0.
pub(crate) fn show_and_exit(config: &Config) -> ! {
    let (text, code) = shown(config);
    flush_stdout();
    // Not through the program's own handle, which another thread may hold. A reader that has gone has read enough.
    if let Ok(stdout) = rustix::stdio::stdout().try_clone_to_owned() {
        let _ = File::from(stdout).write_all(text.as_bytes());
    }
    std::process::exit(code.into())
}

/// The list, and the exit code.
fn shown(config: &Config) -> (String, u8) {
    // Every field by its name: a new one that is not shown does not compile.
    let Config {
        lock,
        log,
        max_size,
        backups,
        level,
        console_level,
        logger,
        tee,
        console,
        wait,
        conflict_exit_code,
        stuck_after,
        timeout,
        kill_after,
        survivors,
        status,
        metrics,
        on_end,
        // The paths have them. What is in `cluster_lock` alone may be a password.
        arguments: _,
        #[cfg(feature = "postgres")]
            cluster: _,
    } = config;
    let (default, paths) = (Config::new("", ""), config.expanded());
    let limit = |limit: &Option<Duration>| limit.map_or("none".into(), span);
    let mut list = List::default();
    list.line(&format!("{}: the configuration of the program; nothing is run", program_name().display()));
    list.line("");
    list.path("lock", lock, &paths.lock);
    list.holder(&paths.lock);
    list.path("log", log, &paths.log);
    list.content(&paths.log, *backups);
    list.set("max_size", max_size, &default.max_size, |bytes| size(*bytes));
    list.set("backups", backups, &default.backups, u16::to_string);
    list.set("level", level, &default.level, |level| level.as_str().to_lowercase());
    if let Some(directives) = std::env::var("RUST_LOG").ok().filter(|directives| !directives.is_empty()) {
        list.remark(&format!("RUST_LOG replaces it: {directives}"));
    }
    list.set("console_level", console_level, &default.console_level, |level| {
        level.map_or("all that are kept".into(), |level| level.as_str().to_lowercase())
    });
    list.set("logger", logger, &default.logger, bool::to_string);
    list.set("tee", tee, &default.tee, choice);
    list.set("console", console, &default.console, choice);
    list.set("wait", wait, &default.wait, limit);
    list.set("conflict_exit_code", conflict_exit_code, &default.conflict_exit_code, u8::to_string);
    list.set("stuck_after", stuck_after, &default.stuck_after, limit);
    list.set("timeout", timeout, &default.timeout, limit);
    let kill_after = kill_after.unwrap_or(Config::KILL_AFTER);
    list.set("kill_after", &kill_after, &Config::KILL_AFTER, |grace| span(*grace));
    list.set("survivors", survivors, &default.survivors, choice);
    list.report("status", status.as_deref(), paths.status.as_ref());
    list.report("metrics", metrics.as_deref(), paths.metrics.as_ref());
    list.set("on_end", on_end, &default.on_end, |command| command.clone().unwrap_or("none".into()));
    #[cfg(feature = "postgres")]
    list.cluster(config, &default, &paths);
    list.line("");
    let Err(error) = setup::check(config) else {
        list.line("a run could be set up");
        return (list.0, 0);
    };
    list.line(&format!("a run cannot be set up: {error}"));
    (list.0, error.exit_code())
}

/// What is printed. Nothing that comes from a file or a variable may tell a terminal what to do.
#[derive(Default)]
struct List(String);

impl List {
    fn line(&mut self, text: &str) {
        for letter in text.chars() {
            if letter.is_control() {
                self.0.extend(letter.escape_default());
            } else {
                self.0.push(letter);
            }
        }
        self.0.push('\n');
    }

    fn row(&mut self, name: &str, value: &str) {
        self.line(format!("{name:<18}  {value}").trim_end());
    }

    /// Said of the row above.
    fn remark(&mut self, text: &str) {
        self.line(&format!("{:20}  {text}", ""));
    }

    fn set<T: PartialEq>(&mut self, name: &str, value: &T, default: &T, words: impl Fn(&T) -> String) {
        let mark = if value == default { " (default)" } else { "" };
        self.row(name, &format!("{}{mark}", words(value)));
    }

    fn path(&mut self, name: &str, template: &str, path: &Result<PathBuf, String>) {
        match path {
            Ok(path) => {
                self.row(name, &path.display().to_string());
                if *path != Path::new(template) {
                    self.remark(&format!("from \"{template}\""));
                }
            }
            Err(wrong) => {
                self.row(name, &format!("\"{template}\""));
                self.remark(wrong);
            }
        }
    }

    fn report(&mut self, name: &str, template: Option<&str>, path: Option<&Result<PathBuf, String>>) {
        match (template, path) {
            (Some(template), Some(path)) => self.path(name, template, path),
            _ => self.row(name, "none (default)"),
        }
    }

    fn holder(&mut self, lock: &Result<PathBuf, String>) {
        let Ok(path) = lock else { return };
        match recorded_holder(path) {
            Ok(Some(holder)) => {
                // For people, whole seconds will do.
                let age = Duration::from_secs(holder.age.as_secs());
                self.remark(&format!("held by {}", holder.told(span(age))));
            }
            Ok(None) if path.exists() => self.remark("no run that lives is named in it"),
            Ok(None) => self.remark("not there yet"),
            Err(error) => self.remark(&format!("cannot be read: {error}")),
        }
    }

    fn content(&mut self, log: &Result<PathBuf, String>, backups: u16) {
        let Ok(path) = log else { return };
        match path.metadata() {
            Ok(file) => self.remark(&size(file.len())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return self.remark("not there yet"),
            Err(error) => return self.remark(&format!("cannot be looked at: {error}")),
        }
        match closing_line::last(path, backups) {
            Ok(Some(line)) => self.remark(&format!("last end of a run: {line}")),
            Ok(None) => {
                let looked_through = size(closing_line::LOOKED_THROUGH);
                self.remark(&format!("no end of a run in the newest {looked_through} of it and its backups"));
            }
            Err(error) => self.remark(&format!("cannot be read: {error}")),
        }
    }

    #[cfg(feature = "postgres")]
    fn cluster(&mut self, config: &Config, default: &Config, paths: &Expanded) {
        let Config { cluster, arguments, .. } = config;
        let shown = paths.lock.as_ref().ok().map(|lock| cluster.shown(lock, arguments));
        match &shown {
            Some(Ok(None)) => self.row("cluster_lock", "none (default)"),
            Some(Ok(Some(place))) => self.row("cluster_lock", place),
            _ => self.row("cluster_lock", "not shown, it may hold a password"),
        }
        if let Some(Err(wrong)) = shown {
            self.remark(&wrong.to_string());
        }
        self.set("cluster_timeout", &cluster.timeout, &default.cluster.timeout, |silence| span(*silence));
        self.set("on_lock_lost", &cluster.on_lost, &default.cluster.on_lost, choice);
    }
}

/// A size as an argument has it where that is exact, else in bytes and roughly.
fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 6] =
        [(1_000_000_000, "GB"), (1 << 30, "GiB"), (1_000_000, "MB"), (1 << 20, "MiB"), (1_000, "KB"), (1 << 10, "KiB")];
    if let Some((factor, unit)) = UNITS.iter().find(|(factor, _)| bytes > 0 && bytes.is_multiple_of(*factor)) {
        return format!("{}{unit}", bytes / factor);
    }
    let mut words = format!("{bytes} bytes");
    if let Some((factor, unit)) = UNITS.iter().step_by(2).find(|(factor, _)| bytes > *factor) {
        let _ = write!(words, " ({:.1} {unit})", bytes as f64 / *factor as f64);
    }
    words
}

fn span(duration: Duration) -> String {
    Span(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)).to_string()
}

/// The attribute's word for one of a few values: their names in Rust, written otherwise.
fn choice(value: &impl Debug) -> String {
    let mut word = String::new();
    for letter in format!("{value:?}").chars() {
        if letter.is_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.extend(letter.to_lowercase());
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{parse_duration, parse_size};
    use crate::{__private as compiled, ConsoleMode, Survivors, Tee};

    #[test]
    fn words_are_those_of_the_attribute() {
        for tee in [Tee::Both, Tee::Stdout, Tee::None] {
            assert_eq!(compiled::tee(&choice(&tee)), tee);
        }
        for mode in [ConsoleMode::Always, ConsoleMode::OnFailure] {
            assert_eq!(compiled::console(&choice(&mode)), mode);
        }
        for survivors in [Survivors::Hold, Survivors::Kill, Survivors::Ignore] {
            assert_eq!(compiled::survivors(&choice(&survivors)), survivors);
        }
        for text in ["5MB", "512KiB", "1GB", "3KB", "2GiB"] {
            assert_eq!(size(parse_size(text).unwrap()), text);
        }
        for (bytes, words) in [(0, "0 bytes"), (999, "999 bytes"), (1_234_567, "1234567 bytes (1.2 MB)")] {
            assert_eq!(size(bytes), words);
        }
        for (text, words) in [("30s", "30s"), ("1h30m", "1h 30m"), ("1d", "24h"), ("1500ms", "1.500s")] {
            assert_eq!(span(parse_duration(text).unwrap()), words);
        }
    }

    #[test]
    fn no_terminal_is_told_what_to_do() {
        let (text, code) = shown(&Config::new("a\u{1b}[2J.lock", "${SURELY_NOT_SET:-b\n}.log"));
        assert!(code == 0 && text.contains("a\\u{1b}[2J.lock\n") && text.contains("b\\n.log\n"), "{text}");
    }

    #[cfg(feature = "postgres")]
    #[test]
    fn no_password_is_printed() {
        let shown = |template: &str| shown(&Config::new("nightly.lock", "a.log").cluster_lock(template));
        let (text, code) = shown("postgres://u:hunter2@db/d?sslmode=verify-full");
        assert!(code == 0 && text.contains("cluster_lock        `nightly` (PostgreSQL at db:5432)\n"), "{text}");
        assert!(text.contains("cluster_timeout     15s (default)\non_lock_lost        stop (default)\n"), "{text}");
        assert!(!text.contains("hunter2"), "{text}");
        let config = Config::new("{tenant}.lock", "a.log").argument("tenant", &"north").argument("key", &"hunter2");
        let (text, code) = super::shown(&config.cluster_lock("postgres://u:{key}@db/d?sslmode=verify-full"));
        assert!(code == 0 && text.contains("`north` (PostgreSQL at db:5432)") && !text.contains("hunter2"), "{text}");
        for wrong in [
            "hunter2",
            "postgres://u:x#hunter2",
            "postgres://u:hunter2@x@db/d",
            "postgres://u:hunter2@db",
            "hunter2${SURELY_NOT_SET}",
        ] {
            let (text, code) = shown(wrong);
            assert!(code == 73 && text.contains("cluster_lock        not shown, it may hold a password\n"), "{text}");
            assert!(!text.contains("hunter2"), "{text}");
        }
    }
}
