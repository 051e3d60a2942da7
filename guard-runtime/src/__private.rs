//! What the attribute's expansion calls, beside the builder. Not for anybody else.

use std::io::Write;

pub use core::time::Duration;
pub use log::LevelFilter;
pub use std::boxed::Box;

use crate::Guard;
pub use crate::cluster_arguments::*;
use crate::environment::program_name;
pub use crate::outcome::{AnyValue, Code, HiddenError, MadeFuture, Returned, ShownError};
use crate::parse::{NO_ROOM, parse_duration, parse_level, parse_size, path_template};
pub use crate::{Config, ConsoleMode, Survivors, Tee};

/// Starts the run, or says on stderr why not, and exits.
pub fn start(config: &Config) -> Guard {
    config.start().unwrap_or_else(|error| {
        let code = error.exit_code();
        if code == 0 && !config.tells_of_skips() {
            // The log has it.
            std::process::exit(0);
        }
        let program = program_name();
        let program = program.display();
        // One line; and stderr may be closed, which is no reason to panic.
        let _ = std::io::stderr().write_all(format!("{program}: {error}\n").as_bytes());
        std::process::exit(code.into())
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

/// Checks that a template which is not written in the attribute, where its names could be compared with the function's,
/// has none.
#[track_caller]
pub const fn constant(template: &'static str) -> &'static str {
    assert!(
        !path_template::names_an_argument(template),
        "`{{argument}}` can stand in a literal only: write the text into the attribute, or `{{{{` for a brace"
    );
    template
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

/// A text or a number of bytes, as a constant.
#[diagnostic::on_unimplemented(
    message = "`max_size` is a text such as \"5MB\", or a number of bytes as `u64`; this is `{Self}`",
    label = "neither a text nor a `u64`",
    note = "a number of another type is cast: `… as u64`"
)]
pub trait SizeArgument: Copy {
    /// Whether the type is `&'static str`; else it is `u64`.
    const IS_TEXT: bool;
}

impl SizeArgument for &'static str {
    const IS_TEXT: bool = true;
}

impl SizeArgument for u64 {
    const IS_TEXT: bool = false;
}

/// Reads a size, in bytes.
#[track_caller]
#[allow(unsafe_code)]
pub const fn size<T: SizeArgument>(value: T) -> u64 {
    let value = &raw const value;
    let size = if T::IS_TEXT {
        // SAFETY: `IS_TEXT` says that T is `&'static str`, which a constant function cannot ask in another way.
        parse_size(unsafe { *value.cast::<&'static str>() })
    } else {
        // SAFETY: and where not, that it is `u64`.
        match unsafe { *value.cast::<u64>() } {
            0 => Err(NO_ROOM),
            bytes => Ok(bytes),
        }
    };
    match size {
        Ok(bytes) => bytes,
        Err(wrong) => panic!("{}", wrong.message()),
    }
}

/// Reads a level.
#[track_caller]
pub const fn level(text: &str) -> LevelFilter {
    match parse_level(text) {
        Ok(level) => level,
        Err(wrong) => panic!("{}", wrong.message()),
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

/// Reads when the console gets what is printed.
#[track_caller]
pub const fn console(text: &str) -> ConsoleMode {
    match text.as_bytes() {
        b"always" => ConsoleMode::Always,
        b"on_failure" => ConsoleMode::OnFailure,
        _ => panic!("not a choice of the console: write \"always\" or \"on_failure\""),
    }
}

/// Reads what becomes of the processes that a dead run leaves.
#[track_caller]
pub const fn survivors(text: &str) -> Survivors {
    match text.as_bytes() {
        b"hold" => Survivors::Hold,
        b"kill" => Survivors::Kill,
        b"ignore" => Survivors::Ignore,
        _ => panic!("not a choice: write \"hold\", \"kill\" or \"ignore\""),
    }
}

/// Reads the time that a run may take.
#[track_caller]
pub const fn timeout(text: &str) -> Duration {
    let limit = duration(text);
    assert!(!limit.is_zero(), "a timeout of 0 ends the run before it starts");
    limit
}

/// Reads a duration.
#[track_caller]
pub const fn duration(text: &str) -> Duration {
    match parse_duration(text) {
        Ok(duration) => duration,
        Err(wrong) => panic!("{}", wrong.message()),
    }
}

/// Never called: it stands in front of an async body, to tell the compiler the type.
pub fn no_value<T>() -> T {
    unreachable!()
}

/// Calls the body with the function's arguments. That it is called once lets it give back what it has borrowed for good;
/// that every argument is one of its own drops them in the order of the function.
macro_rules! calls {
    ($($call:ident($($argument:ident: $Type:ident),*);)*) => {$(
        #[allow(missing_docs, clippy::too_many_arguments)]
        pub fn $call<$($Type,)* T>($($argument: $Type,)* body: impl FnOnce($($Type),*) -> T) -> T {
            body($($argument),*)
        }
    )*};
}

calls! {
    call_0();
    call_1(a: A);
    call_2(a: A, b: B);
    call_3(a: A, b: B, c: C);
    call_4(a: A, b: B, c: C, d: D);
    call_5(a: A, b: B, c: C, d: D, e: E);
    call_6(a: A, b: B, c: C, d: D, e: E, f: F);
    call_7(a: A, b: B, c: C, d: D, e: E, f: F, g: G);
    call_8(a: A, b: B, c: C, d: D, e: E, f: F, g: G, h: H);
    call_9(a: A, b: B, c: C, d: D, e: E, f: F, g: G, h: H, i: I);
    call_10(a: A, b: B, c: C, d: D, e: E, f: F, g: G, h: H, i: I, j: J);
    call_11(a: A, b: B, c: C, d: D, e: E, f: F, g: G, h: H, i: I, j: J, k: K);
    call_12(a: A, b: B, c: C, d: D, e: E, f: F, g: G, h: H, i: I, j: J, k: K, l: L);
}
