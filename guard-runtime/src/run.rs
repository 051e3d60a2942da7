//! The order of a run: lock, log, collector, logger; and at its end the same backwards. How a run ended.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError, mpsc};
use std::time::{Duration, Instant};

use guard_collector::protocol::{END_OF_CLOSING_LINE, LONGEST_ERROR, Nonce, Severity};
use guard_collector::{Batch, LINE_CAPACITY, LogFile, Stamper, now, record_line};

use crate::config::{Config, StartError};
use crate::launch::{Tee, launch};
use crate::link::{FrameWriter, Link};
use crate::locks::Locks;
use crate::log_open::open_log;
use crate::logger::{self, Channel, Levels};

/// How long another thread's hold of standard output is waited for at the end.
const FLUSH_PATIENCE: Duration = Duration::from_secs(1);

/// The active run. Locked for the whole of its end: of two threads that end it, the second waits for the first.
static RUN: Mutex<Option<Run>> = Mutex::new(None);
/// A run is active, or being started.
static CLAIMED: AtomicBool = AtomicBool::new(false);

/// Whose run that is. A forked child looks here before it touches the lock of `RUN`, which another thread may have held
/// at the fork.
static PID: AtomicU32 = AtomicU32::new(0);

struct Run {
    number: u64,
    started: Instant,
    link: Link,
    lock: Locks,
}

/// An active run. It ends when this is dropped: the log's closing line says that the run finished, or that it panicked
/// where the drop is part of a panic. In a forked child the drop does nothing.
#[derive(Debug)]
#[must_use = "the run ends when the guard is dropped"]
pub struct Guard {
    number: u64,
    /// It lives in a future, which may be dropped before it is done.
    is_in_future: bool,
}

impl Guard {
    /// Ends the run and says how it ended. When this returns, log and console have everything that was printed, and the
    /// lock is free.
    pub fn finish(self, outcome: Outcome) {
        end(Some(self.number), &Ending::Returned(outcome));
        std::mem::forget(self);
    }
}

impl Guard {
    /// A drop before `finish` then means that the future was dropped before it was done.
    #[doc(hidden)]
    pub fn of_future(mut self) -> Self {
        self.is_in_future = true;
        self
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let ending = match (std::thread::panicking(), self.is_in_future) {
            (true, _) => Ending::Panicked,
            (false, true) => Ending::Dropped,
            (false, false) => Ending::Returned(Outcome::Finished),
        };
        end(Some(self.number), &ending);
    }
}

/// How a run's function ended, for the closing line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `run finished in …`.
    Finished,
    /// `run failed in …`, with what is known of the reason.
    Failed(Option<String>),
}

enum Ending {
    Returned(Outcome),
    Panicked,
    Dropped,
    Exited,
}

pub(crate) fn start(config: &Config) -> Result<Guard, StartError> {
    let (lock_path, log_path) = config.paths()?;
    if CLAIMED.swap(true, Ordering::AcqRel) {
        return Err(StartError::Active);
    }
    let result = start_claimed(config, &lock_path, &log_path);
    if result.is_err() {
        CLAIMED.store(false, Ordering::Release);
    }
    result
}

fn start_claimed(config: &Config, lock_path: &Path, log_path: &Path) -> Result<Guard, StartError> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let open = || {
        open_log(log_path, config.max_size, config.backups)
            .map_err(|source| StartError::Log { path: log_path.to_path_buf(), source })
    };
    let lock = match Locks::acquire(config, lock_path) {
        Ok(lock) => lock,
        Err(error) => {
            if error.is_skip()
                // Best effort: the skip is told on stderr whatever becomes of this.
                && let Ok(mut log) = open()
            {
                append_line(&mut log, &format!("guard_runtime: {error}"));
            }
            return Err(error);
        }
    };
    let log = open()?;
    let nonce = draw_nonce();
    // Bytes that are still in the buffer were printed before the run.
    flush_buffers();
    let link = launch(log, config.tee, nonce).map_err(StartError::Capture)?;
    let levels = Levels::new(config.level, config.console_level, std::env::var("RUST_LOG").ok().as_deref());
    let started = Instant::now();
    let writer = match capture(&link) {
        Ok(writer) => writer,
        Err(error) => {
            let why = Outcome::Failed(Some(format!("its output cannot be captured: {error}")));
            link.finish(&closing_line(&Ending::Returned(why), started.elapsed()));
            return Err(StartError::Capture(error));
        }
    };
    let no_terminal = link.no_terminal.as_ref().map(ToString::to_string);
    let run = Run { number: NUMBER.fetch_add(1, Ordering::Relaxed) + 1, started, link, lock };
    let shown = run.lock.shown();
    end_at_exit();
    let pid = std::process::id();
    PID.store(pid, Ordering::Release);
    let guard = Guard { number: run.number, is_in_future: false };
    let bad_directives = levels.bad_directives.join("`, `");
    let has_logger =
        logger::open(Channel { writer, nonce, levels, records_panics: config.tee != Tee::Both }, config.logger);
    let logger = match (has_logger, config.logger) {
        (true, _) => "",
        (false, true) => "; the program's own logger was there first and stays, its records count as printed text",
        (false, false) => "; no logger installed (logger = false)",
    };
    logger::note(Severity::Info, &format!("run started: pid {pid}, {shown}{logger}"));
    if let Some(error) = no_terminal {
        let text = format!("no pseudo-terminal can be had ({error}): the program and its children see a pipe");
        logger::note(Severity::Warn, &text);
    }
    if !bad_directives.is_empty() {
        logger::note(Severity::Warn, &format!("RUST_LOG: cannot read `{bad_directives}`; the rest of it counts"));
    }
    *RUN.lock().unwrap_or_else(PoisonError::into_inner) = Some(run);
    Ok(guard)
}

/// Points the standard descriptors at the collector, once that is ready; returns the way for records.
fn capture(link: &Link) -> std::io::Result<FrameWriter> {
    let writer = link.record_writer()?;
    link.wait_until_ready()?;
    link.capture()?;
    Ok(writer)
}

/// Ends the run of that number, or whichever is active.
fn end(number: Option<u64>, ending: &Ending) {
    if PID.load(Ordering::Acquire) != std::process::id() {
        return;
    }
    let mut active = RUN.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(run) = active.take_if(|run| number.is_none_or(|number| run.number == number)) else { return };
    run.lock.returned();
    flush_buffers();
    logger::close();
    run.link.finish(&closing_line(ending, run.started.elapsed()));
    drop(run.lock);
    drop(active);
    CLAIMED.store(false, Ordering::Release);
}

/// One line of the log by itself, of a program that did not become a run.
fn append_line(log: &mut LogFile, text: &str) {
    let mut room = vec![0; LINE_CAPACITY];
    let mut batch = Batch::new(&mut room);
    record_line(text.as_bytes(), true, Stamper::default().stamp(now()), Severity::Warn, &mut batch);
    log.append(batch.lines());
}

/// `RandomState` is keyed by the system's randomness; two hashers make 16 bytes without a further dependency.
fn draw_nonce() -> Nonce {
    let mut random = [0; 16];
    for (half, word) in random.chunks_exact_mut(8).zip(0_u64..) {
        half.copy_from_slice(&RandomState::new().hash_one(word).to_ne_bytes());
    }
    Nonce::new(random)
}

/// As the collector reads it (see the protocol).
fn closing_line(ending: &Ending, elapsed: Duration) -> Vec<u8> {
    let elapsed = format_args!("{:.3}s", elapsed.as_secs_f64()).to_string();
    let (severity, text) = match ending {
        Ending::Returned(Outcome::Finished) => (Severity::Info, format!("run finished in {elapsed}")),
        Ending::Returned(Outcome::Failed(None)) => (Severity::Error, format!("run failed in {elapsed}")),
        Ending::Returned(Outcome::Failed(Some(why))) => {
            let mut end = LONGEST_ERROR.min(why.len());
            while !why.is_char_boundary(end) {
                end -= 1;
            }
            let (why, cut) = (&why[..end], if end < why.len() { "…" } else { "" });
            (Severity::Error, format!("run failed in {elapsed}: {why}{cut}"))
        }
        Ending::Panicked => (Severity::Error, format!("run panicked in {elapsed}")),
        Ending::Dropped => {
            (Severity::Warn, format!("run dropped after {elapsed}: its future was dropped before it was done"))
        }
        Ending::Exited => (Severity::Warn, format!("run ended by process::exit after {elapsed}")),
    };
    let mut line = vec![severity as u8];
    line.extend_from_slice(b"guard_runtime: ");
    line.extend(text.bytes().map(|byte| if byte == 0 { b'?' } else { byte }));
    line.push(END_OF_CLOSING_LINE);
    line
}

/// Flushes standard output, Rust's and C's, but does not wait for ever for a thread that holds its lock.
fn flush_buffers() {
    if is_single_threaded() {
        return flush_now();
    }
    let (done, flushed) = mpsc::channel();
    let flush = move || {
        flush_now();
        let _ = done.send(());
    };
    if std::thread::Builder::new().name("guard-flush".into()).stack_size(64 * 1024).spawn(flush).is_ok() {
        let _ = flushed.recv_timeout(FLUSH_PATIENCE);
    }
}

fn flush_now() {
    let _ = std::io::stdout().flush();
    flush_stdout_of_c();
}

/// exit(3) does that too, but after our `atexit` handler. Standard output alone: to flush all of C's streams would wait
/// for a thread that reads one of them, with the lock held that exit(3) and fopen(3) need.
#[allow(unsafe_code)]
fn flush_stdout_of_c() {
    #[cfg(any(target_os = "linux", target_os = "macos", target_os = "freebsd"))]
    {
        unsafe extern "C" {
            #[cfg_attr(not(target_os = "linux"), link_name = "__stdoutp")]
            static stdout: *mut libc::FILE;
        }
        // SAFETY: the C library's own stream, which lives as long as the process.
        unsafe { libc::fflush(stdout) };
    }
}

/// Then nobody else can hold a lock, and no thread need be started to find out.
fn is_single_threaded() -> bool {
    // A directory has a link from its parent, one from itself, and one from each of its directories: the threads.
    cfg!(target_os = "linux") && rustix::fs::stat("/proc/self/task").is_ok_and(|stat| stat.st_nlink <= 3)
}

/// Ends the run where the process ends by `exit`. Once a process.
#[allow(unsafe_code)]
fn end_at_exit() {
    extern "C" fn at_exit() {
        end(None, &Ending::Exited);
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler is a plain function that lives as long as the process.
        unsafe { libc::atexit(at_exit) };
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_error_is_cut_between_two_letters() {
        // An odd number of bytes in front of letters of two.
        let why = "x".to_owned() + &"é".repeat(LONGEST_ERROR);
        let line = closing_line(&Ending::Returned(Outcome::Failed(Some(why))), Duration::from_millis(1500));
        let line = std::str::from_utf8(&line[1..line.len() - 1]).unwrap();
        let kept = line.strip_prefix("guard_runtime: run failed in 1.500s: x").unwrap().strip_suffix("…").unwrap();
        assert_eq!(kept, "é".repeat(LONGEST_ERROR / 2 - 1));
    }
}
