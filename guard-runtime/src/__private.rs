//! What the attribute's expansion calls, beside the builder. Not for anybody else.

use std::io::Write;

pub use core::time::Duration;
pub use log::LevelFilter;

pub use crate::cluster_arguments::*;
pub use crate::outcome::{AnyValue, Code, HiddenError, Returned, ShownError};
use crate::parse::{parse_duration, parse_level, parse_size, path_template};
use crate::{Config, Guard, Tee};

/// Starts the run, or says on stderr why not, and exits.
pub fn start(config: &Config) -> Guard {
    config.start().unwrap_or_else(|error| {
        let program = std::env::args_os().next().unwrap_or_default();
        let program = std::path::Path::new(&program).file_name().unwrap_or_default().display();
        // One line; and stderr may be closed, which is no reason to panic.
        let _ = std::io::stderr().write_all(format!("{program}: {error}\n").as_bytes());
        std::process::exit(error.exit_code(config.conflict_exit_code).into())
    })
}

/// Checks the path template of `lock`, `log` or `status`; a mistake is a compile error.
#[track_caller]
pub const fn path(template: &'static str) -> &'static str {
    match path_template::check(template) {
        Ok(()) => template,
        Err(wrong) => panic!("{}", wrong),
    }
}

/// Checks the path template of `metrics`.
#[track_caller]
pub const fn metrics(template: &'static str) -> &'static str {
    let Some((_, b".prom")) = path(template).as_bytes().split_last_chunk() else {
        panic!("node_exporter reads files whose name ends in .prom: end the path so");
    };
    template
}

/// Checks a command.
#[track_caller]
pub const fn command(text: &'static str) -> &'static str {
    let bytes = text.as_bytes();
    let (mut at, mut is_blank) = (0, true);
    while at < bytes.len() {
        assert!(bytes[at] != 0, "a command cannot have a NUL byte in it");
        is_blank &= bytes[at].is_ascii_whitespace();
        at += 1;
    }
    assert!(!is_blank, "an empty command does nothing: leave `on_end` out");
    text
}

/// Checks that `lock` is not the log.
#[track_caller]
pub const fn differ(lock: &str, log: &str) {
    let (lock, log) = (lock.as_bytes(), log.as_bytes());
    if lock.len() != log.len() {
        return;
    }
    let mut at = 0;
    while at < lock.len() {
        if lock[at] != log[at] {
            return;
        }
        at += 1;
    }
    panic!("`lock` and `log` name the same file: give the lock a file of its own");
}

/// An argument that may be a text or a number.
#[derive(Debug)]
pub struct Size<T>(pub T);

impl Size<&'static str> {
    /// In bytes.
    #[track_caller]
    pub const fn bytes(self) -> u64 {
        match parse_size(self.0) {
            Ok(bytes) => bytes,
            Err(wrong) => panic!("{}", wrong),
        }
    }
}

impl Size<u64> {
    /// In bytes.
    #[track_caller]
    pub const fn bytes(self) -> u64 {
        match self.0 {
            0 => panic!("a size of 0 leaves no room for a line"),
            bytes => bytes,
        }
    }
}

/// Reads a level.
#[track_caller]
pub const fn level(text: &str) -> LevelFilter {
    match parse_level(text) {
        Ok(level) => level,
        Err(wrong) => panic!("{}", wrong),
    }
}

/// Checks the number of backups.
#[track_caller]
pub const fn backups(files: u16) -> u16 {
    assert!(files <= Config::MAX_BACKUPS, "`backups` is 0 to 999");
    files
}

/// Reads which streams are captured.
#[track_caller]
pub const fn tee(text: &str) -> Tee {
    match text.as_bytes() {
        b"both" => Tee::Both,
        b"stdout" => Tee::Stdout,
        b"none" => Tee::None,
        _ => panic!("not a choice of streams: write \"both\", \"stdout\" or \"none\""),
    }
}

/// Reads a duration.
#[track_caller]
pub const fn duration(text: &str) -> Duration {
    match parse_duration(text) {
        Ok(duration) => duration,
        Err(wrong) => panic!("{}", wrong),
    }
}

/// Calls the body. That it is called once lets it give back what it has borrowed for good.
pub fn call<T>(body: impl FnOnce() -> T) -> T {
    body()
}
