//! The order of a run: lock, log, collector, logger; and at its end the same backwards.

use std::cell::Cell;
use std::ffi::CString;
use std::hash::{BuildHasher, RandomState};
use std::mem::ManuallyDrop;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use guard_collector::protocol::{Nonce, Severity};

use crate::choices::Tee;
use crate::config::{Config, Paths};
use crate::ending::{Ending, closing_line, exit_line};
use crate::error::StartError;
use crate::flush::{flush_stdout, flush_stdout_of_c};
use crate::launch::{Terms, launch};
use crate::link::Link;
use crate::lock::Predecessor;
use crate::locks::Locks;
use crate::log_open::{append_line, open_log};
use crate::logger::{self, Channel, Levels};
use crate::outcome::Outcome;
use crate::setup::children_have_another_namespace;
use crate::show;
use crate::stuck;
use crate::usage::Meter;
use crate::verdict::Plan;

/// Whether this process has a run. Locked for the whole of a run's end: of two threads that end it, the second waits for the
/// first.
static ACTIVE: Mutex<Active> = Mutex::new(Active::No);

#[expect(clippy::large_enum_variant, reason = "there is only this one")]
enum Active {
    No,
    /// A thread tries for the lock, or waits for it.
    Claimed,
    /// It starts the helpers: a moment.
    Starting,
    Run(Run),
    /// The process ends by exit(3): nothing begins any more.
    Exiting,
}

impl Active {
    /// Takes the run of that number.
    fn take(&mut self, number: u64) -> Self {
        match self {
            Self::Run(run) if run.number == number => std::mem::replace(self, Self::No),
            _ => Self::No,
        }
    }

    /// A start has got further, or has failed: false where the process ends meanwhile.
    fn go_on_to(&mut self, next: Self) -> bool {
        let goes_on = !matches!(self, Self::Exiting);
        if goes_on {
            *self = next;
        }
        goes_on
    }
}

thread_local! {
    /// This thread starts or ends a run, and may hold the lock of `ACTIVE`: a signal handler that it runs must not wait for it.
    static IS_BUSY: Cell<bool> = const { Cell::new(false) };
}

/// How long a process that ends by exit(3) waits for another thread that ends the run, and for one that starts it.
const EXIT_TIMEOUT: Duration = Duration::from_secs(10);
const START_TIMEOUT: Duration = Duration::from_secs(1);

/// Whose run that is. A forked child looks here before it waits for the lock of `ACTIVE`, which another thread may have held
/// at the fork.
static PID: AtomicU32 = AtomicU32::new(0);

struct Run {
    number: u64,
    started: Instant,
    meter: Meter,
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
        end(self.number, &Ending::Returned(outcome));
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
        end(self.number, &ending);
    }
}

impl Config {
    /// Takes the lock, opens the log, starts the collector: from here on everything printed is logged. The run ends,
    /// and the lock is free, when the guard is dropped (or the process ends, however it ends).
    ///
    /// Where the environment variable `GUARD_SHOW` is the program's file name, it does none of this: it prints this
    /// configuration on standard output, and the process exits here, with 0, or with 73 where a run could not be set up
    /// (see the attribute's documentation).
    ///
    /// # Errors
    /// [`StartError`]. Nothing is captured then, and no process is left behind; the lock file may be there.
    pub fn start(&self) -> Result<Guard, StartError> {
        start(self)
    }
}

fn start(config: &Config) -> Result<Guard, StartError> {
    if show::is_asked_for() {
        show::show_and_exit(config);
    }
    let paths = config.paths()?;
    if children_have_another_namespace() {
        return Err(StartError::ChildNamespace);
    }
    // A signal handler may have interrupted the end of a run.
    let was_busy = IS_BUSY.replace(true);
    let result = if claim() { start_claimed(config, &paths) } else { Err(StartError::Active) };
    IS_BUSY.set(was_busy);
    result
}

/// False where a run is active, or is being started or ended.
fn claim() -> bool {
    let is_free = try_active().filter(|active| matches!(**active, Active::No));
    is_free.map(|mut active| *active = Active::Claimed).is_some()
}

fn try_active() -> Option<MutexGuard<'static, Active>> {
    match ACTIVE.try_lock() {
        Ok(active) => Some(active),
        Err(TryLockError::Poisoned(error)) => Some(error.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

fn active() -> MutexGuard<'static, Active> {
    ACTIVE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start_claimed(config: &Config, paths: &Paths) -> Result<Guard, StartError> {
    // Before the lock is tried for: an exit meanwhile is to be seen.
    end_at_exit();
    PID.store(std::process::id(), Ordering::Release);
    let run = start_run(config, paths).inspect_err(|_| {
        active().go_on_to(Active::No);
    })?;
    let guard = Guard { number: run.number, is_in_future: false };
    *active() = Active::Run(run);
    Ok(guard)
}

fn start_run(config: &Config, paths: &Paths) -> Result<Run, StartError> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (lock_path, log_path) = (&*paths.lock, &*paths.log);
    let open = || {
        open_log(log_path, config.max_size, config.backups)
            .map_err(|error| StartError::Log { path: log_path.to_path_buf(), error })
    };
    let mut lock = match Locks::acquire(config, lock_path) {
        Ok(lock) => lock,
        Err(error) => {
            if error.is_skip()
                // Best effort: the skip is told on stderr whatever becomes of this.
                && let Ok(mut log) = open()
            {
                append_line(&mut log, Severity::Warn, &format!("guard_runtime: {error}"));
                if let (StartError::Stuck { contention, .. }, Some(command)) = (&error, &config.on_end) {
                    stuck::tell(command, paths, contention, &error.to_string(), &mut log);
                }
            }
            return Err(error);
        }
    };
    let mut log = open()?;
    let plan = Plan::new(config, paths, lock.local().predecessor().map(|lost| lost.pid))?;
    if let Some(Predecessor { pid, started, .. }) = lock.local().predecessor() {
        let text = format!("guard_runtime: run of pid {pid}, started {started}, ended without a trace");
        append_line(&mut log, Severity::Error, &text);
        lock.forget_predecessor();
    }
    let nonce = draw_nonce();
    // Bytes that are still in the buffer were printed before the run.
    flush_stdout();
    let lock_name = CString::new(lock_path.as_os_str().as_bytes()).unwrap_or_default();
    let terms = Terms {
        timeout: config.timeout,
        kill_after: config.kill_after.unwrap_or(Config::KILL_AFTER),
        loss_grace: lock.loss_grace(),
        kill_at: lock.kill_at(),
        survivors: config.survivors,
        lock: &lock_name,
        record: lock.local().common_record().as_bytes(),
    };
    if !active().go_on_to(Active::Starting) {
        return Err(StartError::Active);
    }
    let mut link = launch(log, config.tee, config.console, nonce, &terms, plan).map_err(StartError::Capture)?;
    let (started, meter) = (Instant::now(), Meter::start());
    if let Err(error) = begin(config, &lock, &mut link, nonce) {
        logger::close();
        let why = Outcome::Failed(Some(format!("its output cannot be captured: {error}")));
        link.finish(&closing_line(&Ending::Returned(why), started.elapsed(), meter), || {});
        return Err(StartError::Capture(error));
    }
    Ok(Run { number: NUMBER.fetch_add(1, Ordering::Relaxed) + 1, started, meter, link, lock })
}

/// Opens the way for records and says that the run has started; then points the standard descriptors at the collector. What
/// can be done meanwhile comes before the collector is ready, and the logger after that: it cannot be taken back.
fn begin(config: &Config, lock: &Locks, link: &mut Link, nonce: Nonce) -> std::io::Result<()> {
    lock.local().tell_helpers(link.first_helper());
    let levels = Levels::new(config.level, config.console_level, std::env::var("RUST_LOG").ok().as_deref());
    let bad_directives = levels.bad_directives.join("`, `");
    let (writer, records_panics) = (link.record_writer()?, config.tee != Tee::Both);
    link.wait_until_ready()?;
    link.end_on_request()?;
    let has_logger = logger::open(Channel { writer, nonce, levels, records_panics }, config.logger);
    let logger = match (has_logger, config.logger) {
        (true, _) => "",
        (false, true) => "; the program's own logger was there first and stays, its records count as printed text",
        (false, false) => "; no logger installed (logger = false)",
    };
    let (pid, shown) = (std::process::id(), lock.shown());
    logger::note(Severity::Info, &format!("run started: pid {pid}, {shown}{logger}"));
    if let Some(error) = &link.no_terminal {
        let text = format!("no pseudo-terminal can be had ({error}): the program and its children see a pipe");
        logger::note(Severity::Warn, &text);
    }
    if !bad_directives.is_empty() {
        logger::note(Severity::Warn, &format!("RUST_LOG: cannot read `{bad_directives}`; the rest of it counts"));
    }
    Ok(link.capture()?)
}

/// Ends the run of that number, where it is still active.
fn end(number: u64, ending: &Ending) {
    if PID.load(Ordering::Acquire) != std::process::id() {
        return;
    }
    IS_BUSY.set(true);
    let mut active = active();
    if let Active::Run(Run { lock, started, meter, link, .. }) = active.take(number) {
        lock.returned();
        flush_stdout();
        logger::close();
        link.finish(&closing_line(ending, started.elapsed(), meter), || drop(lock));
    }
    drop(active);
    IS_BUSY.set(false);
}

/// Ends the active run as the process ends by exit(3). Some call that in a signal handler: so this takes and frees no memory,
/// never waits for what its own thread holds, and for other threads only so long.
fn end_by_exit(code: Option<i32>) {
    if PID.load(Ordering::Acquire) != std::process::id() {
        return;
    }
    let called = Instant::now();
    let mut active = loop {
        if IS_BUSY.get() {
            // A handler has interrupted the start or the end of the run: the collector sees that the process is gone.
            return;
        }
        let timeout = match try_active() {
            // Not to be held in the sleep below: the thread that starts the run puts it there.
            Some(active) if matches!(*active, Active::Starting) => {
                drop(active);
                START_TIMEOUT
            }
            Some(active) => break active,
            None => EXIT_TIMEOUT,
        };
        if called.elapsed() > timeout {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let Active::Run(Run { started, meter, link, lock, .. }) = std::mem::replace(&mut *active, Active::Exiting) else {
        return;
    };
    let lock = ManuallyDrop::new(lock);
    lock.returned();
    // That of Rust was flushed by `process::exit`; by another exit it would be lost without us too.
    flush_stdout_of_c();
    logger::close_at_exit();
    let line = exit_line(code, started.elapsed(), meter);
    link.finish_at_exit(&line.get_ref()[..line.position() as usize], || lock.release_at_exit());
}

/// `RandomState` is keyed by the system's randomness; two hashers make 16 bytes without a further dependency.
fn draw_nonce() -> Nonce {
    let mut random = [0; 16];
    for (half, word) in random.chunks_exact_mut(8).zip(0_u64..) {
        half.copy_from_slice(&RandomState::new().hash_one(word).to_ne_bytes());
    }
    Nonce::new(random)
}

/// Ends the run where the process ends by `exit`. Once a process.
#[allow(unsafe_code)]
fn end_at_exit() {
    static ONCE: Once = Once::new();
    // The C library takes no more functions once exit(3) has called the last: nothing is to begin then.
    let note_refusal = |result| {
        if result != 0 {
            *active() = Active::Exiting;
        }
    };
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            /// As atexit(3), and it tells the code.
            fn on_exit(
                function: extern "C" fn(libc::c_int, *mut libc::c_void),
                argument: *mut libc::c_void,
            ) -> libc::c_int;
        }
        extern "C" fn at_exit(code: libc::c_int, _: *mut libc::c_void) {
            // Of which a parent sees the last byte.
            end_by_exit(Some(code & 0xff));
        }
        ONCE.call_once(|| {
            // SAFETY: the handler is a plain function that lives as long as the process.
            let result = unsafe { on_exit(at_exit, std::ptr::null_mut()) };
            note_refusal(result);
        });
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    {
        extern "C" fn at_exit() {
            end_by_exit(None);
        }
        ONCE.call_once(|| {
            // SAFETY: as above.
            let result = unsafe { libc::atexit(at_exit) };
            note_refusal(result);
        });
    }
}
