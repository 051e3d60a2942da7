//! The program under test for the cluster lock: one mode a behaviour. Lock, log and everything else lie in `$SUBJECT_DIR`.
#![allow(unsafe_code, reason = "shared memory and raw fork are what is tested here")]

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use guard_runtime::{Config, ConsoleMode, OnLockLost, StartError, lock_lost, locked_pipeline, parse_duration};

#[allow(clippy::too_many_lines, reason = "a mode each")]
fn main() -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok();
    let directory = variable("SUBJECT_DIR").unwrap();
    let duration = |name: &str| variable(name).map(|text| parse_duration(&text).unwrap());
    let mut config =
        Config::new(format!("{directory}/run.lock"), format!("{directory}/logs/run.log")).conflict_exit_code(3);
    if let Some(url) = variable("CLUSTER_URL") {
        config = config.cluster_lock(url);
    }
    if let Some(silence) = duration("CLUSTER_TIMEOUT") {
        config = config.cluster_timeout(silence);
    }
    if variable("ON_LOCK_LOST").as_deref() == Some("tell") {
        config = config.on_lock_lost(OnLockLost::Tell);
    }
    if let Some(patience) = duration("WAIT") {
        config = config.wait(patience);
    }
    if let Some(limit) = duration("STUCK_AFTER") {
        config = config.stuck_after(limit);
    }
    if variable("CONSOLE").as_deref() == Some("on_failure") {
        config = config.console(ConsoleMode::OnFailure);
    }
    let mode = std::env::args().nth(1).unwrap_or_default();
    if mode == "attribute" {
        by_attribute();
        return ExitCode::SUCCESS;
    }
    let times = Times::open(&directory);
    let before = now();
    let guard = match config.start() {
        Ok(guard) => guard,
        Err(error) => {
            eprintln!("clustered: {error}");
            if matches!(error, StartError::Held { .. }) {
                eprintln!("clustered: held on this machine");
            }
            return ExitCode::from(error.exit_code());
        }
    };
    times.setting_up.store(now() - before, Ordering::Relaxed);
    // The test acts as soon as it reads "held": whatever it relies on comes first.
    match mode.as_str() {
        "stubborn" => {
            // SAFETY: no handler.
            unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
        }
        // Blocks every signal.
        "deaf" => {
            // SAFETY: the set is filled before it is used.
            unsafe {
                let mut all = std::mem::zeroed();
                libc::sigfillset(&raw mut all);
                libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
            }
        }
        _ => {}
    }
    let first = now();
    times.first.store(first, Ordering::Relaxed);
    times.last.store(first, Ordering::Relaxed);
    println!("held");
    match mode.as_str() {
        // Until it is killed, or standard input ends; notes its last instruction all the time.
        "work" => {
            std::thread::spawn(|| {
                let _ = std::io::stdin().read(&mut [0]);
                std::process::exit(0);
            });
            work(times);
        }
        "end" => {}
        // The lock is not held any more after that.
        "twice" => {
            drop(guard);
            let again = config.start().expect("it was given back");
            drop(again);
            println!("twice");
            return ExitCode::SUCCESS;
        }
        "stubborn" | "deaf" => work(times),
        "tell" => {
            while !lock_lost() {
                times.last.store(now(), Ordering::Relaxed);
                std::thread::sleep(Duration::from_micros(200));
            }
            println!("lost, and on it goes");
            let _ = std::io::stdout().flush();
            std::thread::sleep(Duration::from_millis(300));
        }
        // Asks once, after it stood still.
        "gap" => {
            let (mut before, mut after) = (first, now());
            // From two thirds of the 3 s on the lock is lost.
            while after - before < 2_000_000_000 {
                (before, after) = (after, now());
            }
            println!("lost at the first look: {}", lock_lost());
        }
        // Leaves processes behind that live longer than the run.
        "children" => {
            let mut deaf = Command::new("sleep");
            // SAFETY: a system call; SIGTERM stays ignored in what is executed.
            unsafe {
                deaf.pre_exec(|| {
                    libc::signal(libc::SIGTERM, libc::SIG_IGN);
                    Ok(())
                })
            };
            let executed = deaf.arg("30").spawn().unwrap().id();
            let forked = fork(|| std::thread::sleep(Duration::from_secs(30)));
            let daemon = fork(|| {
                // SAFETY: a session of its own, as a daemon has.
                unsafe { libc::setsid() };
                fork(|| {
                    // SAFETY: a question.
                    let pid = unsafe { libc::getpid() };
                    let _ = std::fs::write(format!("{directory}/daemon"), pid.to_string());
                    std::thread::sleep(Duration::from_secs(30));
                });
            });
            std::fs::write(format!("{directory}/children"), format!("{executed} {forked} {daemon}")).unwrap();
            work(times);
        }
        // Becomes another program, which knows nothing of the lock.
        "exec" => {
            panic!("{}", Command::new("sleep").arg("4").exec());
        }
        // Closes every descriptor that it does not know, and opens a file where the connection was.
        "closefrom" => {
            // SAFETY: what the guard has to live with.
            unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
            let files: Vec<_> =
                (0..200).map(|number| std::fs::File::create(format!("{directory}/file{number}")).unwrap()).collect();
            std::fs::write(format!("{directory}/children"), "").unwrap();
            work_holding(times, &files);
        }
        "threads" => {
            // One that is joined is counted a moment longer: it wakes its joiner before it is gone.
            let threads = (0..50).map(|_| {
                std::thread::sleep(Duration::from_millis(2));
                std::fs::read_dir("/proc/self/task").unwrap().count()
            });
            println!("threads {}", threads.min().unwrap());
        }
        other => panic!("no mode {other}"),
    }
    drop(guard);
    ExitCode::SUCCESS
}

#[locked_pipeline(
    lock = "${SUBJECT_DIR}/run.lock",
    log = "${SUBJECT_DIR}/logs/run.log",
    cluster_lock = "${CLUSTER_URL}#by-attribute",
    cluster_timeout = "6s",
    on_lock_lost = "tell"
)]
fn by_attribute() {
    println!("held, and lost: {}", lock_lost());
}

fn work(times: &Times) -> ! {
    work_holding(times, &[])
}

fn work_holding(times: &Times, _: &[std::fs::File]) -> ! {
    loop {
        times.last.store(now(), Ordering::Relaxed);
        std::thread::sleep(Duration::from_micros(100));
    }
}

fn fork(child: impl FnOnce()) -> i32 {
    // SAFETY: what the guard has to live with; the child ends in _exit.
    match unsafe { libc::fork() } {
        0 => {
            child();
            // SAFETY: ends this process alone.
            unsafe { libc::_exit(0) }
        }
        pid => pid,
    }
}

/// What the test reads, also after a kill: nanoseconds since the boot.
#[repr(C)]
struct Times {
    first: AtomicU64,
    last: AtomicU64,
    setting_up: AtomicU64,
}

impl Times {
    fn open(directory: &str) -> &'static Self {
        use std::os::fd::AsRawFd;
        let mut options = std::fs::File::options();
        let file =
            options.read(true).write(true).create(true).truncate(false).open(format!("{directory}/times")).unwrap();
        file.set_len(24).unwrap();
        // SAFETY: a mapping of a file of that size, which nobody cuts.
        unsafe {
            let flags = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
            let address = libc::mmap(std::ptr::null_mut(), 24, flags.0, flags.1, file.as_raw_fd(), 0);
            assert_ne!(address, libc::MAP_FAILED);
            &*address.cast::<Self>()
        }
    }
}

fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: written by the call.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
