//! The `log` logger: filtered by level and `RUST_LOG`, formatted by simplelog, sent down the stream of standard output
//! as a frame, so that records and printed text keep their order.

use std::cell::Cell;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, RwLock, TryLockError};
use std::thread::AccessError;
use std::time::{Duration, Instant};

use env_filter::Filter;
use log::{LevelFilter, Log, Metadata, Record};
use simplelog::{ConfigBuilder, WriteLogger};

use guard_collector::now;
use guard_collector::protocol::{self, HEADER, MAX_FRAME, MAX_TEXT, Nonce, Severity, header};

use crate::link::FrameWriter;

/// The way to the collector. There while a run is active.
static CHANNEL: RwLock<Option<Channel>> = RwLock::new(None);
/// `RUST_LOG` sets levels by module: the greatest of them alone does not tell which records are kept.
static HAS_DIRECTIVES: AtomicBool = AtomicBool::new(false);

pub(crate) struct Channel {
    pub(crate) writer: FrameWriter,
    pub(crate) nonce: Nonce,
    pub(crate) levels: Levels,
    /// Panics are printed where nobody captures them: the panic hook records them.
    pub(crate) records_panics: bool,
}

/// Which records are kept, and which of those are shown on the console.
pub(crate) struct Levels {
    filter: Filter,
    has_directives: bool,
    console: LevelFilter,
    /// Directives of `RUST_LOG` that could not be read.
    pub(crate) bad_directives: Vec<String>,
}

impl Levels {
    /// `RUST_LOG`, when set and not empty, replaces `level`.
    pub(crate) fn new(level: LevelFilter, console: Option<LevelFilter>, rust_log: Option<&str>) -> Self {
        let mut builder = env_filter::Builder::new();
        let mut bad_directives = Vec::new();
        let rust_log = rust_log.filter(|text| !text.trim().is_empty());
        match rust_log {
            None => drop(builder.filter_level(level)),
            Some(text) => {
                // One by one, for a bad one would take the good ones with it.
                for directive in text.split(',').filter(|directive| !directive.trim().is_empty()) {
                    // Behind `/` env_logger filters by the text, which would have to be formatted for that.
                    if directive.contains('/') || builder.try_parse(directive).is_err() {
                        bad_directives.push(directive.to_owned());
                    }
                }
            }
        }
        let filter = builder.build();
        // Without a `console_level` of its own, the console shows every record that is kept.
        let has_directives = rust_log.is_some();
        Self { console: console.unwrap_or(LevelFilter::Trace), filter, has_directives, bad_directives }
    }
}

/// Opens the way for records, and installs the logger where `install` says so. Says whether records will come through
/// it: false where the program has a logger of its own already.
pub(crate) fn open(channel: Channel, install: bool) -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    let level = channel.levels.filter.filter();
    HAS_DIRECTIVES.store(channel.levels.has_directives, Ordering::Relaxed);
    if channel.records_panics {
        install_panic_hook();
    }
    *CHANNEL.write().unwrap_or_else(PoisonError::into_inner) = Some(channel);
    let ours = install && *INSTALLED.get_or_init(|| log::set_logger(&Logger).is_ok());
    if ours {
        log::set_max_level(level);
    }
    ours
}

/// Closes it: records after the end of a run go nowhere.
pub(crate) fn close() -> Option<Channel> {
    CHANNEL.write().unwrap_or_else(PoisonError::into_inner).take()
}

/// The same where the process ends by exit(3), perhaps in a signal handler that has interrupted a record: takes and frees no
/// memory, never waits for its own thread, and for others only so long.
pub(crate) fn close_at_exit() {
    const TIMEOUT: Duration = Duration::from_secs(1);
    let called = Instant::now();
    while !SENDS.get() && called.elapsed() < TIMEOUT {
        let mut channel = match CHANNEL.try_write() {
            Ok(channel) => channel,
            Err(TryLockError::Poisoned(error)) => error.into_inner(),
            Err(TryLockError::WouldBlock) => {
                std::thread::sleep(Duration::from_millis(1));
                continue;
            }
        };
        if let Some(Channel { writer, levels, .. }) = channel.take() {
            drop(writer);
            std::mem::forget(levels);
        }
        return;
    }
}

/// A line of our own, whatever the levels say, for the file alone.
pub(crate) fn note(severity: Severity, text: &str) {
    send_note(severity, text, false);
}

/// Why the run ends itself: the helpers end its other processes.
#[cfg(feature = "postgres")]
pub(crate) fn last_note(text: &str) {
    send_note(Severity::Error, text, true);
}

fn send_note(severity: Severity, text: &str, ends_family: bool) {
    with_channel(|channel| {
        let mut frame = vec![0; HEADER];
        frame.extend_from_slice(b"guard_runtime: ");
        frame.extend_from_slice(text.as_bytes());
        send_record(channel, &mut frame, severity, false, now(), ends_family);
    });
}

fn with_channel<T>(action: impl FnOnce(&Channel) -> T) -> Option<T> {
    let before = SENDS.replace(true);
    let result = CHANNEL.read().unwrap_or_else(PoisonError::into_inner).as_ref().map(action);
    SENDS.set(before);
    result
}

struct Logger;

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        // One level for all: the macros have compared it already, and others do it here, without a lock.
        metadata.level() <= log::max_level()
            && (!HAS_DIRECTIVES.load(Ordering::Relaxed)
                || with_channel(|channel| channel.levels.filter.enabled(metadata)).unwrap_or(false))
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let time = now();
        let mut frame = formatted(record);
        with_channel(|channel| {
            let console = record.level() <= channel.levels.console;
            send_record(channel, &mut frame, severity(record.level()), console, time, false);
        });
        recycle(frame);
    }

    fn flush(&self) {}
}

fn severity(level: log::Level) -> Severity {
    match level {
        log::Level::Error => Severity::Error,
        log::Level::Warn => Severity::Warn,
        log::Level::Info => Severity::Info,
        log::Level::Debug => Severity::Debug,
        log::Level::Trace => Severity::Trace,
    }
}

type Simplelog = Box<WriteLogger<Gather>>;

/// Room for a header (NULs), then the text.
#[allow(clippy::box_collection, reason = "a pointer, see below")]
type Frame = Box<Vec<u8>>;

thread_local! {
    /// This thread has the lock of `CHANNEL`, or waits for it.
    static SENDS: Cell<bool> = const { Cell::new(false) };
    // One word each: exit(3) in a signal handler has the destructors of these run wherever the handler interrupts, and of a
    // half-written value they would free what is no memory.
    static SIMPLELOG: Cell<Option<Simplelog>> = const { Cell::new(None) };
    /// The frame that is being put together.
    static FRAME: Cell<Option<Frame>> = const { Cell::new(None) };
}

/// The record as simplelog formats it, behind room for a header. The user's `Display` runs in here, and no lock of ours
/// is held but that of this thread's own simplelog.
#[allow(clippy::unnecessary_box_returns, reason = "it goes back to its place")]
fn formatted(record: &Record<'_>) -> Frame {
    let by_simplelog = || -> Result<Frame, AccessError> {
        // Taken, not borrowed: a `Display` that logs finds none and makes its own; one that panics spoils nobody's.
        let simplelog = SIMPLELOG.try_with(Cell::take)?.unwrap_or_else(new_simplelog);
        let mut frame = FRAME.try_with(Cell::take)?.unwrap_or_default();
        frame.clear();
        frame.extend_from_slice(&[0; HEADER]);
        FRAME.try_with(|slot| slot.set(Some(frame)))?;
        simplelog.log(record);
        SIMPLELOG.try_with(|slot| slot.set(Some(simplelog)))?;
        Ok(FRAME.try_with(Cell::take)?.unwrap_or_default())
    };
    by_simplelog().unwrap_or_else(|_| {
        // The thread is ending and has no such places any more: as simplelog would have it.
        let mut frame = Frame::new(vec![0; HEADER]);
        let _ = write!(frame, "{}: {}", record.target(), record.args());
        frame
    })
}

/// Keeps a sent frame's memory for the next one.
fn recycle(frame: Frame) {
    let _ = FRAME.try_with(|slot| slot.set(Some(frame)));
}

fn new_simplelog() -> Simplelog {
    // The collector writes time and level.
    let config = ConfigBuilder::new()
        .set_time_level(LevelFilter::Off)
        .set_max_level(LevelFilter::Off)
        .set_thread_level(LevelFilter::Off)
        .set_location_level(LevelFilter::Off)
        .set_target_level(LevelFilter::Error)
        .build();
    WriteLogger::new(LevelFilter::Trace, config, Gather)
}

/// Gathers what simplelog writes.
struct Gather;

impl Write for Gather {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.write_fmt(format_args!("{}", String::from_utf8_lossy(bytes)))?;
        Ok(bytes.len())
    }

    /// All of a piece at once. While it is formatted the frame is out of its place, so that a record which the user's
    /// `Display` logs meanwhile has a frame of its own.
    fn write_fmt(&mut self, arguments: std::fmt::Arguments<'_>) -> std::io::Result<()> {
        let mut frame = FRAME.try_with(Cell::take).map_err(std::io::Error::other)?.unwrap_or_default();
        let result = frame.write_fmt(arguments);
        FRAME.try_with(|slot| slot.set(Some(frame))).map_err(std::io::Error::other)?;
        result
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Sends a record whose text stands in `frame` behind the room for a header.
fn send_record(
    channel: &Channel,
    frame: &mut Vec<u8>,
    severity: Severity,
    console: bool,
    time: u64,
    ends_family: bool,
) {
    /// The frames of a long record follow one another.
    static LONG: Mutex<()> = Mutex::new(());
    let header = |text: &[u8], continuation, more| {
        header(&channel.nonce, &protocol::Record { severity, console, continuation, more, ends_family, time, text })
    };
    frame.pop_if(|last| *last == b'\n');
    let text = &frame[HEADER..];
    if text.len() <= MAX_TEXT {
        let header = header(text, false, false);
        frame[..HEADER].copy_from_slice(&header);
        let _ = channel.writer.send(frame, time);
        return;
    }
    let _long = LONG.lock().unwrap_or_else(PoisonError::into_inner);
    let mut pieces = text.chunks(MAX_TEXT).peekable();
    let mut buffer = [0; MAX_FRAME];
    let mut continuation = false;
    while let Some(piece) = pieces.next() {
        buffer[..HEADER].copy_from_slice(&header(piece, continuation, pieces.peek().is_some()));
        buffer[HEADER..HEADER + piece.len()].copy_from_slice(piece);
        if channel.writer.send(&buffer[..HEADER + piece.len()], time).is_err() {
            break;
        }
        continuation = true;
    }
}

/// Adds a record of the panic to whatever the hook before does (which prints it, uncaptured).
fn install_panic_hook() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if with_channel(|channel| channel.records_panics) == Some(true) {
                let thread = std::thread::current();
                let name = thread.name().unwrap_or("<unnamed>");
                let backtrace = std::backtrace::Backtrace::capture();
                let captured = backtrace.status() == std::backtrace::BacktraceStatus::Captured;
                let backtrace = if captured { format!("\nstack backtrace:\n{backtrace}") } else { String::new() };
                note(Severity::Error, &format!("thread '{name}' {panic}{backtrace}"));
            }
            before(panic);
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_log_replaces_the_level_and_a_bad_directive_costs_itself_alone() {
        let enabled = |levels: &Levels, target: &str, level: log::Level| {
            levels.filter.enabled(&Metadata::builder().target(target).level(level).build())
        };
        let levels = Levels::new(LevelFilter::Info, None, Some("warn,hyper=debug,x=loud"));
        assert_eq!(levels.bad_directives, ["x=loud"]);
        assert!(enabled(&levels, "hyper::client", log::Level::Debug));
        assert!(!enabled(&levels, "mine", log::Level::Info));
        for unset in [None, Some(""), Some(" ")] {
            let levels = Levels::new(LevelFilter::Info, None, unset);
            assert!(enabled(&levels, "mine", log::Level::Info) && !enabled(&levels, "mine", log::Level::Debug));
        }
    }
}
