//! Runs that are ended, and what they leave: the test says how long, with which children, and how the run itself ends.

use std::env;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use guard_runtime::{Config, Outcome, Survivors};

use crate::support::{LOCK, LOG, shell};

static ASKED_TO_END: AtomicBool = AtomicBool::new(false);

extern "C" fn end(_: libc::c_int) {
    ASKED_TO_END.store(true, Ordering::Relaxed);
}

extern "C" fn exit_at_once(_: libc::c_int) {
    // SAFETY: it does nothing else.
    unsafe { libc::_exit(3) }
}

fn argument(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

/// `TIMEOUT` and `KILL_AFTER` in milliseconds, `SURVIVORS`, `ON_END`; the shell runs `SCRIPT`; then what `END` says.
pub(crate) fn guarded() -> ExitCode {
    let millis = |name| argument(name).parse().ok().map(Duration::from_millis);
    let mut config = Config::new(LOCK, LOG).conflict_exit_code(9);
    if let Some(limit) = millis("TIMEOUT") {
        config = config.timeout(limit);
    }
    if let Some(grace) = millis("KILL_AFTER") {
        config = config.kill_after(grace);
    }
    config = match &*argument("SURVIVORS") {
        "kill" => config.survivors(Survivors::Kill),
        "ignore" => config.survivors(Survivors::Ignore),
        _ => config,
    };
    if let Ok(command) = env::var("ON_END") {
        config = config.on_end(&command);
    }
    let ending = argument("END");
    // Before the run starts: its timeout may be short.
    let disposition = match &*ending {
        "deaf" | "closes_all" => libc::SIG_IGN,
        "orderly" | "fails_at_length" => end as *const () as libc::sighandler_t,
        "exits_then" => exit_at_once as *const () as libc::sighandler_t,
        _ => libc::SIG_DFL,
    };
    // SAFETY: a disposition of this program's.
    unsafe { libc::signal(libc::SIGTERM, disposition) };
    let guard = match config.start() {
        Ok(guard) => guard,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::from(error.exit_code());
        }
    };
    let script = argument("SCRIPT");
    // A shell is a child, and one that is late would be told to end.
    if !script.is_empty() {
        shell(&script);
    }
    // A test that fails leaves nobody behind.
    let sleep = || std::thread::sleep(Duration::from_secs(100));
    // SAFETY: signals to this program, and its descriptors.
    unsafe {
        match &*ending {
            "killed" => {
                libc::kill(libc::getpid(), libc::SIGKILL);
            }
            // Its lock and what leads to its helpers among them.
            "closes_all" => {
                for descriptor in 3..5000 {
                    libc::close(descriptor);
                }
                sleep();
            }
            // Every signal, by the only thread of the program's own.
            "blocked" => {
                let mut all: libc::sigset_t = std::mem::zeroed();
                libc::sigfillset(&raw mut all);
                libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, std::ptr::null_mut());
                loop {
                    std::hint::spin_loop();
                }
            }
            "stopped" => {
                libc::kill(libc::getpid(), libc::SIGSTOP);
                sleep();
            }
            "orderly" => {
                println!("works");
                while !ASKED_TO_END.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                println!("tidied up");
            }
            "fails_at_length" => {
                while !ASKED_TO_END.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(5));
                }
                guard.finish(Outcome::Failed(Some("x".repeat(20_000))));
                return ExitCode::FAILURE;
            }
            "chatty" => {
                while !ASKED_TO_END.load(Ordering::Relaxed) {
                    println!("{}", "x".repeat(200));
                }
            }
            // Not by `exit`: nobody says a word.
            "exits" => libc::_exit(3),
            "calls_exit" => std::process::exit(3),
            "well" => {}
            _ => sleep(),
        }
    }
    drop(guard);
    ExitCode::SUCCESS
}
