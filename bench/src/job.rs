//! The jobs: what every peer runs, in a process of its own. Sizes come by the environment, so that the shell commands of
//! the peers stay readable.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use guard_runtime::{Config, ConsoleMode};

/// A number from the environment.
fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn directory() -> PathBuf {
    std::env::var_os("BENCH_DIR").expect("BENCH_DIR").into()
}

/// The job of that name; says whether there is one.
pub(crate) fn run(name: &str) -> bool {
    match name {
        "nothing" => {}
        "nothing-guarded" => guarded(|| {}),
        "nothing-told" => drop(told(config()).start().expect("a run")),
        "nothing-hooked" => {
            let config = told(config()).console(ConsoleMode::OnFailure).on_end(":");
            drop(config.start().expect("a run"));
        }
        "lines" => lines(),
        "lines-guarded" => guarded(lines),
        "ticks" => ticks(),
        "ticks-guarded" => guarded(ticks),
        "child-guarded" => guarded(|| {
            let file = std::fs::File::open(directory().join("input")).expect("the input");
            assert!(std::process::Command::new("cat").stdin(file).status().expect("cat").success());
        }),
        "records-guarded" => guarded(records),
        _ => match name.strip_prefix("records-") {
            Some(logger) => crate::loggers::with(logger, &directory(), records),
            None => return false,
        },
    }
    true
}

fn config() -> Config {
    Config::new("${BENCH_DIR}/run.lock", "${BENCH_DIR}/run.log")
        .max_size(setting("MAX_SIZE", 5_000_000))
        .backups(setting("BACKUPS", 5) as u16)
        .console_level(log::LevelFilter::Off)
}

fn told(config: Config) -> Config {
    config.status("${BENCH_DIR}/status.json").metrics("${BENCH_DIR}/job.prom")
}

fn guarded(job: impl FnOnce()) {
    let guard = config().start().expect("a run");
    job();
    drop(guard);
}

/// `COUNT` lines of `SIZE` bytes, newline included, from `THREADS` threads together.
fn lines() {
    let (count, size, threads) = (setting("COUNT", 500_000), setting("SIZE", 90), setting("THREADS", 1));
    let text = "a line that is as cheap to format as a line can be ".repeat(20);
    let text = &text[..size as usize - 10];
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(|| (0..count / threads).for_each(|number| println!("{number:08} {text}")));
        }
        (0..count / threads).for_each(|number| println!("{number:08} {text}"));
    });
}

/// The monotonic clock, in nanoseconds.
pub(crate) fn monotonic() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is written.
    #[allow(unsafe_code)]
    unsafe {
        libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now);
    }
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Prints the time, now and then; in between, bursts of 100 lines with `LOAD` microseconds after each, 0 for full speed.
fn ticks() {
    let load = std::env::var("LOAD").ok().and_then(|pause| pause.parse().ok()).map(Duration::from_micros);
    let count = setting("COUNT", 300);
    let done = AtomicU64::new(0);
    std::thread::scope(|scope| {
        if let Some(pause) = load {
            let done = &done;
            scope.spawn(move || {
                while done.load(Ordering::Relaxed) == 0 {
                    for _ in 0..100 {
                        println!(
                            "a line of ninety bytes that is printed between the ticks, in order to be in the way......"
                        );
                    }
                    if !pause.is_zero() {
                        std::thread::sleep(pause);
                    }
                }
            });
        }
        for _ in 0..count {
            std::thread::sleep(Duration::from_millis(3));
            println!("tick {}", monotonic());
        }
        done.store(1, Ordering::Relaxed);
    });
}

/// How many records have been logged: shared with whoever kills this process.
fn counter() -> Option<&'static AtomicU64> {
    let file = std::fs::File::options().read(true).write(true).open(directory().join("counter")).ok()?;
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&file);
    // SAFETY: the file has 8 bytes and stays; any bytes are a counter.
    #[allow(unsafe_code)]
    unsafe {
        let (rights, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        let map = libc::mmap(std::ptr::null_mut(), 8, rights, flags, descriptor, 0);
        (map != libc::MAP_FAILED).then(|| &*map.cast())
    }
}

/// Logs `COUNT` records.
pub(crate) fn each_record(log: impl Fn(u64)) {
    let counter = counter();
    for number in 0..setting("COUNT", 300_000) {
        log(number);
        if let Some(counter) = counter {
            counter.store(number + 1, Ordering::SeqCst);
        }
    }
}

fn records() {
    each_record(|number| log::info!("record {number} of a run that logs a good deal, to see what one costs"));
}
