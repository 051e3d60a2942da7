//! The annotated program under test: one mode a behaviour. Lock, log and everything else lie in `$SUBJECT_DIR`.
#![allow(unsafe_code, reason = "shared memory, raw fork and signals are what is tested here")]

use std::io::{Read, Write};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use guard_runtime::locked_pipeline;

/// Refuses to allocate or free in a helper process: a lock of malloc's may have been held at the fork. Leaves a trace
/// that the test finds.
struct Watched;

/// The process that may allocate, and the file to leave where another does.
static MAIN: AtomicU64 = AtomicU64::new(0);
static TRACE: std::sync::OnceLock<std::ffi::CString> = std::sync::OnceLock::new();

impl Watched {
    fn check() {
        let main = MAIN.load(Ordering::Relaxed);
        if main != 0 && main != u64::from(std::process::id()) {
            // SAFETY: system calls with a path that lives for ever.
            unsafe {
                libc::open(TRACE.get().unwrap().as_ptr(), libc::O_CREAT | libc::O_WRONLY, 0o600);
                libc::_exit(99);
            }
        }
    }
}

// SAFETY: the system's allocator does it all.
unsafe impl std::alloc::GlobalAlloc for Watched {
    unsafe fn alloc(&self, layout: std::alloc::Layout) -> *mut u8 {
        Self::check();
        // SAFETY: as the caller promises.
        unsafe { std::alloc::System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: std::alloc::Layout) {
        Self::check();
        // SAFETY: as the caller promises.
        unsafe { std::alloc::System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Watched = Watched;

fn main() -> ExitCode {
    // A test that fails leaves nobody behind who prints for ever.
    #[cfg(target_os = "linux")]
    // SAFETY: a system call on this process alone.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL)
    };
    let trace = std::path::Path::new(&std::env::var_os("SUBJECT_DIR").unwrap()).join("allocated");
    TRACE.set(std::ffi::CString::new(trace.into_os_string().into_encoded_bytes()).unwrap()).unwrap();
    MAIN.store(std::process::id().into(), Ordering::Relaxed);
    let mut arguments = std::env::args().skip(1);
    let mode = arguments.next().unwrap_or_default();
    let number = arguments.next().and_then(|number| number.parse().ok()).unwrap_or(0);
    match mode.as_str() {
        "hold" => hold(number),
        "count" => count(number.max(1)),
        "exit" => exit_three(number),
        "abort" => end_by(number, || std::process::abort()),
        "panic" => end_by(number, || panic!("at the disco")),
        // SAFETY: none; a segmentation fault is the point.
        "segfault" => end_by(number, || unsafe { std::ptr::null_mut::<u8>().write_volatile(1) }),
        "fail" => return ExitCode::from(u8::from(fail().is_err())),
        "code" => return code(),
        "mixed" => mixed(number, false),
        "mixed_stderr" => mixed(number, true),
        "long_records" => long_records(number),
        "flood" => flood(number),
        "slow_flood" => slow_flood(number),
        "flood_on" => flood_on(number),
        "flood_on_in_one_file" => flood_on_in_one_file(number),
        "background" => background(),
        "wait_loop" => wait_loop(),
        "child_descriptors" => child_descriptors(),
        "redirect" => redirect(),
        "close" => close(),
        "close_from" => close_from(),
        "forked_child" => forked_child(),
        "forked_child_hold" => forked_child_hold(),
        "two_exits" => two_exits(),
        "exit_beside_the_end" => exit_beside_the_end(number),
        "nested" => nested(),
        "twice" => (0..2).for_each(|_| nothing()),
        "many" => many(number),
        "own_logger" => own_logger(),
        "no_tee" => no_tee(),
        "tee_stdout" => tee_stdout(),
        "display_logs" => display_logs(),
        "crowd" => crowd(number),
        "race" => race(number),
        "signal_storm" => signal_storm(),
        "wait" => waits(),
        "hold_for" => hold_for(number),
        "strict" => return strict(),
        "stuck" => stuck(),
        "stuck_in_an_hour" => stuck_in_an_hour(),
        "lock_only" => lock_only(),
        "flood_background" => flood_background(number),
        "flooding_child" => flooding_child(),
        "child_on_one_stream" => child_on_one_stream(number),
        "few_records" => few_records(number),
        "fail_long" => return ExitCode::from(u8::from(fail_long().is_err())),
        "close_from_fork" => close_from_fork(),
        "lingering" => lingering(),
        "shared_log" => shared_log(number),
        "shared_log_until_go" => shared_log_until_go(number),
        "lingering_log" => lingering_log(number),
        "lingering_log_until_go" => lingering_log_until_go(number),
        "rotations" => rotations(number),
        "pipes_used_up" => pipes_used_up(number),
        "stdout_held" => stdout_held(),
        "c_stdio" => c_stdio(number != 0),
        "copy" => copy(),
        "prompt" => prompt(),
        "writers" => writers(number),
        "blocks" => blocks(number),
        "coloured_record" => coloured_record(),
        "c_reader" => c_reader(),
        "records" => records(),
        "show" => guarded_show(),
        "show_bare" => show(),
        "sizes" => sizes(),
        "signalled_records" => signalled_records(number),
        "eat_memory" => eat_memory(),
        _ => return ExitCode::from(64),
    }
    ExitCode::SUCCESS
}

const LOCK: &str = "${SUBJECT_DIR}/locks/run.lock";
const LOG: &str = "${SUBJECT_DIR}/logs/run.log";

#[locked_pipeline(lock = LOCK, log = LOG)]
fn hold(lines: u64) {
    (0..lines).for_each(|number| println!("{}", line(number)));
    println!("held");
    let _ = std::io::stdin().read(&mut [0]);
}

/// The test has not said so yet, and is not gone.
fn is_to_wait() -> bool {
    let directory = std::path::PathBuf::from(std::env::var_os("SUBJECT_DIR").unwrap());
    directory.exists() && !directory.join("go").exists()
}

fn wait_for_go() {
    while is_to_wait() {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn line(number: u64) -> String {
    format!("line {number:08} {}", "x".repeat(75))
}

/// Shared with the test: how many `println!`s have returned, by thread.
fn counters() -> &'static [AtomicU64; 64] {
    let path = std::path::Path::new(&std::env::var_os("SUBJECT_DIR").unwrap()).join("counters");
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let flags = libc::MAP_SHARED;
    let descriptor = std::os::fd::AsRawFd::as_raw_fd(&file);
    // SAFETY: the file has 512 bytes and stays; any bytes are counters.
    unsafe {
        let map = libc::mmap(std::ptr::null_mut(), 512, libc::PROT_READ | libc::PROT_WRITE, flags, descriptor, 0);
        assert!(map != libc::MAP_FAILED);
        &*map.cast()
    }
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn count(threads: u64) {
    let counters = counters();
    std::thread::scope(|scope| {
        for (thread, counter) in counters.iter().enumerate().take(threads as usize) {
            scope.spawn(move || {
                for number in 0.. {
                    println!("{thread} {}", line(number));
                    counter.store(number + 1, Ordering::SeqCst);
                }
            });
        }
    });
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn end_by(lines: u64, end: fn()) {
    (0..lines).for_each(|number| println!("{}", line(number)));
    end();
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn exit_three(lines: u64) {
    (0..lines).for_each(|number| println!("{}", line(number)));
    std::process::exit(3);
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn fail() -> Result<(), String> {
    Err("disk on fire".into())
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn code() -> ExitCode {
    ExitCode::from(3)
}

/// Numbers in order over everything that can print.
#[locked_pipeline(lock = LOCK, log = LOG, max_size = "1GB")]
fn mixed(rounds: u64, stderr: bool) {
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    for round in 0..rounds {
        println!("n {}", next());
        log::info!("n {}", next());
        if stderr {
            eprintln!("n {}", next());
        }
        if round % 1000 == 999 {
            Command::new("sh").args(["-c", &format!("echo n {}", next())]).status().unwrap();
        }
    }
}

/// Records about and above the size of a frame, from four threads, among printed lines.
#[locked_pipeline(lock = LOCK, log = LOG, max_size = "1GB", console_level = "off")]
fn long_records(rounds: u64) {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..rounds {
                    let length = [10, 4030, 4068, 4069, 4096, 9000, 70_000][round as usize % 7];
                    log::info!("{thread} {round} {}", "r".repeat(length));
                    println!("{thread} {round} printed");
                }
            });
        }
    });
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn flood(lines: u64) {
    let mut stdout = std::io::stdout().lock();
    (0..lines).for_each(|number| writeln!(stdout, "{}", line(number)).unwrap());
}

/// Long enough to be looked at.
#[locked_pipeline(lock = LOCK, log = LOG)]
fn slow_flood(lines: u64) {
    for number in 0..lines {
        println!("{}", line(number));
        if number % 1000 == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    std::process::exit(7);
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn flood_on(lines: u64) {
    flood_until_go(lines);
}

#[locked_pipeline(lock = LOCK, log = LOG, max_size = "1GB")]
fn flood_on_in_one_file(lines: u64) {
    flood_until_go(lines);
}

/// At least so many lines, and on until the test has done what it does to the run.
fn flood_until_go(lines: u64) {
    for number in 0.. {
        if number % 1000 == 0 {
            std::thread::sleep(Duration::from_millis(2));
            if number >= lines && !is_to_wait() {
                println!("printed {number} lines");
                std::process::exit(7);
            }
        }
        println!("{}", line(number));
    }
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn background() {
    Command::new("sh")
        .args([
            "-c",
            "(while [ -d $SUBJECT_DIR -a ! -e $SUBJECT_DIR/go ]; do sleep 0.02; done; echo later; echo alive > $SUBJECT_DIR/survived) &",
        ])
        .status()
        .unwrap();
    println!("main is done");
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn wait_loop() {
    let children: Vec<_> = (0..3).map(|_| Command::new("true").spawn().unwrap()).collect();
    let mut reaped = 0;
    // SAFETY: no status is asked for.
    while unsafe { libc::wait(std::ptr::null_mut()) } > 0 {
        reaped += 1;
    }
    println!("reaped {reaped}");
    drop(children);
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn child_descriptors() {
    Command::new("ls").arg("/proc/self/fd").status().unwrap();
}

fn own_file() -> std::os::fd::OwnedFd {
    let path = std::path::Path::new(&std::env::var_os("SUBJECT_DIR").unwrap()).join("own");
    std::fs::File::create(path).unwrap().into()
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn redirect() {
    println!("before");
    let file = own_file();
    // SAFETY: user code pointing its standard descriptors elsewhere.
    unsafe {
        libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&file), 1);
        libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&file), 2);
    }
    println!("mine");
    log::info!("record");
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn close() {
    println!("before");
    // SAFETY: user code closing its standard descriptors; the file then gets the number 1.
    unsafe {
        libc::close(1);
        libc::close(2);
    }
    let file = own_file();
    println!("mine");
    log::info!("record");
    drop(file);
}

/// As a daemon does it that wants to start clean.
#[locked_pipeline(lock = LOCK, log = LOG)]
fn close_from() {
    println!("before");
    // SAFETY: user code that closes descriptors it does not know.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    println!("after");
    std::process::exit(5);
}

/// A child without exec that outlives the run, logs, drops the guard's copy and exits.
#[locked_pipeline(lock = LOCK, log = LOG)]
fn forked_child() {
    println!("before the fork");
    // SAFETY: the process has one thread.
    if unsafe { libc::fork() } == 0 {
        MAIN.store(std::process::id().into(), Ordering::Relaxed);
        println!("from the child");
        wait_for_go();
        println!("still there");
        std::process::exit(0);
    }
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn forked_child_hold() {
    // SAFETY: the process has one thread.
    if unsafe { libc::fork() } == 0 {
        MAIN.store(std::process::id().into(), Ordering::Relaxed);
        println!("from the child");
        wait_for_go();
        std::process::exit(0);
    }
    let _ = std::io::stdin().read(&mut [0]);
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn two_exits() {
    println!("before");
    let other = std::thread::spawn(|| std::process::exit(9));
    std::thread::spawn(|| std::process::exit(9));
    other.join().unwrap();
}

/// A thread that ends the process while `main` waits for the console to have what it printed.
#[locked_pipeline(lock = LOCK, log = LOG)]
fn exit_beside_the_end(lines: u64) {
    std::thread::spawn(|| {
        wait_for_go();
        std::process::exit(9);
    });
    (0..lines).for_each(|number| println!("{}", line(number)));
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn nothing() {}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn nested() {
    let error = guard_runtime::Config::new("${SUBJECT_DIR}/b.lock", "${SUBJECT_DIR}/b.log").start().unwrap_err();
    println!("{error}");
    nothing();
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn counted(number: u64) {
    println!("run {number}");
}

/// Many runs in one process whose threads allocate and free all the time.
fn many(runs: u64) {
    for _ in 0..16 {
        std::thread::spawn(|| {
            let mut kept = Vec::new();
            for size in (1..).map(|n: usize| n.wrapping_mul(7919) % 60_000) {
                kept.push(vec![0_u8; size]);
                if kept.len() > 20 {
                    kept.clear();
                    std::thread::sleep(Duration::from_micros(20));
                }
            }
        });
    }
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    let before = descriptors();
    (0..runs).for_each(counted);
    println!("{} descriptors more", descriptors() - before);
    let task = std::process::Command::new("ps")
        .args(["--no-headers", "-o", "stat", "--ppid", &std::process::id().to_string()])
        .output();
    let children = String::from_utf8(task.unwrap().stdout).unwrap();
    println!("{} zombies", children.lines().filter(|state| state.starts_with('Z')).count());
}

struct OwnLogger;

impl log::Log for OwnLogger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        println!("OWN {}", record.args());
    }

    fn flush(&self) {}
}

fn own_logger() {
    log::set_logger(&OwnLogger).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    logs();
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn logs() {
    log::info!("record");
}

#[locked_pipeline(lock = LOCK, log = LOG, tee = "none", level = "warn", console_level = "warn")]
fn no_tee() {
    println!("printed");
    log::info!("quiet");
    log::warn!("loud");
    let _ = std::thread::spawn(|| panic!("unseen")).join();
}

#[locked_pipeline(lock = LOCK, log = LOG, tee = "stdout")]
fn tee_stdout() {
    println!("printed");
    eprintln!("printed elsewhere");
    log::warn!("loud");
    let _ = std::thread::spawn(|| panic!("unseen")).join();
}

struct Chatty;

impl std::fmt::Display for Chatty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        log::info!("inner");
        f.write_str("chatty")
    }
}

struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("broken Display")
    }
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn display_logs() {
    log::info!("outer {Chatty}");
    let _ = std::panic::catch_unwind(|| log::info!("{Broken}"));
    log::info!("multi\nline");
    log::info!("after");
}

/// Threads that print lines until the process is told to end.
#[locked_pipeline(lock = LOCK, log = LOG)]
fn crowd(threads: u64) {
    for thread in 0..threads {
        std::thread::spawn(move || {
            for number in 0_u64.. {
                println!("{thread} {number}");
            }
        });
    }
    let _ = std::io::stdin().read(&mut [0]);
    std::process::exit(4);
}

/// The device and inode of the lock file that this process has open.
fn locked_inode(path: &std::path::Path) -> String {
    use std::os::unix::fs::MetadataExt;
    for entry in std::fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        // A file that was removed or renamed since is shown under its other name.
        let target = target.to_string_lossy();
        if target.contains(&*path.file_name().unwrap().to_string_lossy()) || target.contains("/aside") {
            let file = std::fs::metadata(entry.path()).unwrap();
            return format!("{}:{}", file.dev(), file.ino());
        }
    }
    panic!("the lock file is not open");
}

/// Takes the lock, holds it for a moment, lets go, for so many milliseconds; a witness of its own checks each section.
/// Prints: sections, overlaps on one and the same file, overlaps after the holder's file was taken away.
fn race(milliseconds: u64) {
    let directory = std::path::PathBuf::from(std::env::var_os("SUBJECT_DIR").unwrap());
    let (lock_path, witness) = (directory.join("race.lock"), directory.join("witness"));
    let (mut sections, mut overlaps, mut after_removal) = (0, 0, 0);
    let start = std::time::Instant::now();
    while start.elapsed() < Duration::from_millis(milliseconds) {
        let lock = match guard_runtime::PipelineLock::acquire(&lock_path) {
            Ok(lock) => lock,
            Err(guard_runtime::LockError::Held(_)) => continue,
            Err(error) => {
                // So fast a remover can win every one of the bounded rounds; that is an error, not a lock.
                assert!(error.to_string().contains("replaced each time"), "{error}");
                continue;
            }
        };
        let ours = locked_inode(&lock_path);
        match std::fs::File::create_new(&witness) {
            Ok(mut file) => {
                sections += 1;
                file.write_all(ours.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_micros(50));
                std::fs::remove_file(&witness).unwrap();
            }
            Err(_) => match std::fs::read_to_string(&witness) {
                Ok(theirs) if theirs == ours => overlaps += 1,
                _ => after_removal += 1,
            },
        }
        drop(lock);
    }
    println!("{sections} {overlaps} {after_removal}");
}

static SIGNALS: AtomicU64 = AtomicU64::new(0);

/// A timer's signal every millisecond, with a handler and without `SA_RESTART`.
fn start_signal_storm() {
    extern "C" fn count(_: libc::c_int) {
        SIGNALS.fetch_add(1, Ordering::Relaxed);
    }
    let millisecond = libc::timeval { tv_sec: 0, tv_usec: 1000 };
    // SAFETY: the handler adds to an atomic.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = count as *const () as usize;
        libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut());
        let timer = libc::itimerval { it_interval: millisecond, it_value: millisecond };
        libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut());
    }
}

/// While the lock is taken, waited for, held.
fn signal_storm() {
    start_signal_storm();
    let path = std::path::PathBuf::from(std::env::var_os("SUBJECT_DIR").unwrap()).join("storm.lock");
    let start = std::time::Instant::now();
    let mut rounds = 0;
    while start.elapsed() < Duration::from_secs(2) {
        let lock = guard_runtime::PipelineLock::acquire(&path).expect("it is free");
        let held = guard_runtime::PipelineLock::acquire(&path);
        assert!(matches!(held, Err(guard_runtime::LockError::Held(_))), "{held:?}");
        drop(lock);
        rounds += 1;
    }
    let _lock = guard_runtime::PipelineLock::acquire(&path).expect("it is free");
    let start = std::time::Instant::now();
    let waited = guard_runtime::PipelineLock::acquire_within(&path, Duration::from_millis(700), |_| {});
    assert!(matches!(waited, Err(guard_runtime::LockError::Held(_))), "{waited:?}");
    let elapsed = start.elapsed();
    assert!((700..1500).contains(&elapsed.as_millis()), "{elapsed:?}");
    println!("{rounds} rounds, {} signals", SIGNALS.load(Ordering::Relaxed));
}

#[locked_pipeline(lock = LOCK, log = LOG, wait = "5s")]
fn waits() {
    println!("mine");
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn hold_for(milliseconds: u64) {
    println!("held");
    std::thread::sleep(Duration::from_millis(milliseconds));
}

#[locked_pipeline(lock = LOCK, log = LOG, conflict_exit_code = 42)]
fn strict() -> ExitCode {
    println!("ran");
    ExitCode::SUCCESS
}

#[locked_pipeline(lock = LOCK, log = LOG, stuck_after = "100ms")]
fn stuck() {
    println!("ran");
}

#[locked_pipeline(lock = LOCK, log = LOG, stuck_after = "1h")]
fn stuck_in_an_hour() {
    println!("ran");
}

/// `PipelineLock` by itself, in a process whose forked child lives on.
fn lock_only() {
    let path = std::path::PathBuf::from(std::env::var_os("SUBJECT_DIR").unwrap());
    let lock = guard_runtime::PipelineLock::acquire(path.join("only.lock")).unwrap();
    // SAFETY: the process has one thread.
    if unsafe { libc::fork() } == 0 {
        MAIN.store(std::process::id().into(), Ordering::Relaxed);
        // The child's copy is not the child's lock.
        drop(lock);
        std::fs::write(path.join("forked"), "").unwrap();
        wait_for_go();
        std::process::exit(0);
    }
    let _ = std::io::stdin().read(&mut [0]);
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn eat_memory() {
    println!("eating");
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![1_u8; 1 << 20]);
    }
}

#[locked_pipeline(lock = "${SUBJECT_DIR}/${NAME:-x}.lock", log = LOG, max_size = "1MB", backups = 400)]
fn shared_log(lines: u64) {
    let name = std::env::var("NAME").unwrap();
    (0..lines).for_each(|number| println!("{name} {number}"));
}

#[locked_pipeline(lock = "${SUBJECT_DIR}/${NAME:-x}.lock", log = LOG, max_size = "1MB", backups = 400)]
fn shared_log_until_go(lines: u64) {
    let name = std::env::var("NAME").unwrap();
    let mut number = 0;
    while number < lines || is_to_wait() {
        println!("{name} {number}");
        number += 1;
    }
    println!("printed {number} lines");
}

/// A silent child that lives on, holding the stream open.
fn spawn_silent_child() {
    let script = "(while [ -d $SUBJECT_DIR -a ! -e $SUBJECT_DIR/go ]; do sleep 0.02; done) &";
    Command::new("sh").args(["-c", script]).status().unwrap();
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn flood_background(lines: u64) {
    spawn_silent_child();
    (0..lines).for_each(|number| println!("{}", line(number)));
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn fail_long() -> Result<(), String> {
    spawn_silent_child();
    Err("x".repeat(400_000))
}

/// Closes what it does not know, opens files of its own under the same numbers, and forks.
#[locked_pipeline(lock = LOCK, log = LOG)]
fn close_from_fork() {
    let directory = std::path::PathBuf::from(std::env::var_os("SUBJECT_DIR").unwrap());
    // SAFETY: user code that closes descriptors it does not know.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    let files: Vec<_> =
        (0..40).map(|number| std::fs::File::create(directory.join(format!("own{number}"))).unwrap()).collect();
    // SAFETY: the process has one thread.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let all = files.iter().all(|mut file| file.write_all(b"mine").is_ok());
        // SAFETY: ends the child.
        unsafe { libc::_exit(i32::from(!all)) };
    }
    let mut status = 0;
    // SAFETY: waits for the child forked above.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    println!("the child's status is {status}");
}

/// Runs whose helpers outlive them, in a process that goes on: later runs reap them.
fn lingering() {
    let go = std::path::PathBuf::from(std::env::var_os("SUBJECT_DIR").unwrap()).join("go");
    flood_background(1);
    std::fs::write(go, "").unwrap();
    let zombies = || {
        let pid = std::process::id().to_string();
        let output = Command::new("ps").args(["--no-headers", "-o", "comm,stat", "--ppid", &pid]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().filter(|line| line.contains("guard-")).count()
    };
    for _ in 0..500 {
        nothing();
        if zombies() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("{} helpers are left", zombies());
}

/// A child prints on into this run's collector when the run has ended.
#[locked_pipeline(lock = "${SUBJECT_DIR}/lingering.lock", log = LOG, max_size = "1MB", backups = 400)]
fn lingering_log(lines: u64) {
    // Line by line, for the next run's lines stand between them.
    Command::new("sh").args(["-c", &format!("stdbuf -oL seq -f 'child %.0f' 0 {} &", lines - 1)]).status().unwrap();
}

#[locked_pipeline(lock = LOCK, log = LOG, max_size = "1MB", backups = 400)]
fn lingering_log_until_go(lines: u64) {
    spawn_counting_child(lines);
    wait_for_go();
}

/// A child that lives on, and writes a block at a time, as programs do whose output is no terminal.
fn spawn_counting_child(lines: u64) {
    Command::new("sh").args(["-c", &format!("seq -f 'child %.0f' 0 {} &", lines - 1)]).status().unwrap();
}

/// A child that lives on and prints as fast as it can.
#[locked_pipeline(lock = LOCK, log = LOG)]
fn flooding_child() {
    let script = "yes & (while [ -d $SUBJECT_DIR -a ! -e $SUBJECT_DIR/go ]; do sleep 0.02; done; kill $!) &";
    Command::new("sh").args(["-c", script]).status().unwrap();
    println!("main is done");
}

/// A silent child that lives on and holds one of the two streams open: 1 for standard output, 2 for standard error.
#[locked_pipeline(lock = LOCK, log = LOG)]
fn child_on_one_stream(number: u64) {
    let other = 3 - number;
    let script =
        format!("(while [ -d $SUBJECT_DIR -a ! -e $SUBJECT_DIR/go ]; do sleep 0.02; done) {other}>/dev/null &");
    Command::new("sh").args(["-c", &script]).status().unwrap();
    println!("out");
    eprintln!("err");
}

/// One by one, each a batch of its own.
#[locked_pipeline(lock = LOCK, log = LOG)]
fn few_records(number: u64) {
    for number in 0..number {
        println!("printed {number}");
        log::info!("record {number}");
        std::thread::sleep(Duration::from_millis(1));
    }
    std::fs::write(std::path::Path::new(&std::env::var_os("SUBJECT_DIR").unwrap()).join("recorded"), "").unwrap();
}

#[locked_pipeline(lock = LOCK, log = LOG, max_size = "20KB", backups = 60)]
fn rotations(lines: u64) {
    wait_for_go();
    for number in 0..lines {
        println!("{}", line(number));
        if number % 100 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A user whose pipes have reached their limit (pipe(7)): further ones hold a page or two.
fn pipes_used_up(lines: u64) {
    let mut large = 0;
    loop {
        let mut ends = [0; 2];
        // SAFETY: two descriptors are written; they stay open.
        let result = unsafe {
            assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0);
            libc::fcntl(ends[1], libc::F_SETPIPE_SZ, 1 << 20)
        };
        if result == -1 {
            break;
        }
        large += 1;
        assert!(large < 1000, "this user has no limit");
    }
    flood(lines);
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn stdout_held() {
    println!("before");
    let (held, holds) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let _stdout = std::io::stdout().lock();
        held.send(()).unwrap();
        std::thread::sleep(Duration::from_secs(3600));
    });
    holds.recv().unwrap();
    log::info!("after");
    std::process::exit(6);
}

/// Bytes in C's own buffer at the end.
#[locked_pipeline(lock = LOCK, log = LOG)]
fn c_stdio(exit: bool) {
    // SAFETY: a string that ends with NUL.
    unsafe { libc::puts(c"from C".as_ptr()) };
    if exit {
        std::process::exit(0);
    }
}

/// What comes in goes out.
#[locked_pipeline(lock = LOCK, log = LOG, max_size = "200MB")]
fn copy() {
    let (mut buffer, mut stdout) = (vec![0; 50_000], unbuffered_stdout());
    loop {
        match std::io::stdin().read(&mut buffer).unwrap() {
            0 => return,
            count => stdout.write_all(&buffer[..count]).unwrap(),
        }
    }
}

fn unbuffered_stdout() -> std::fs::File {
    let descriptor = std::os::fd::AsFd::as_fd(&std::io::stdout()).try_clone_to_owned();
    descriptor.unwrap().into()
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn prompt() {
    print!("name? ");
    std::io::stdout().flush().unwrap();
    log::info!("asked");
    wait_for_go();
    println!("thank you");
}

/// Children that write 64 KiB at once, which the kernel tears, around records, which it does not.
#[locked_pipeline(lock = LOCK, log = LOG, max_size = "200MB", console_level = "off")]
fn writers(rounds: u64) {
    let program = std::env::current_exe().unwrap();
    let child = |_| Command::new(&program).args(["blocks", &rounds.to_string()]).spawn().unwrap();
    let children: Vec<_> = (0..3).map(child).collect();
    (0..rounds).for_each(|number| log::info!("{number} {}", "r".repeat(4000)));
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}

fn blocks(rounds: u64) {
    let block = vec![b'b'; 65_536];
    (0..rounds).for_each(|_| unbuffered_stdout().write_all(&block).unwrap());
}

/// What a person sees: colours where there is a terminal, a progress bar on standard error, a child's output.
fn show() {
    use std::io::IsTerminal;
    let (stdout, stderr) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
    println!("stdout {stdout}, stderr {stderr}");
    let (red, reset) = if stdout { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    println!("{red}red{reset} and not\ttab");
    // So few draws that none is left out for having come too soon.
    let bar = indicatif::ProgressBar::new(8);
    (0..8).for_each(|_| bar.inc(1));
    bar.finish_and_clear();
    eprintln!("{red}warning{reset}");
    let child = "[ -t 1 ]; echo child: stdout $?; [ -t 2 ]; echo child: stderr $? >&2; stty size <&1 || echo none";
    Command::new("sh").args(["-c", child]).stdin(std::process::Stdio::null()).status().unwrap();
    print!("no newline");
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn guarded_show() {
    show();
}

fn terminal_size() -> (u16, u16) {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the size is written.
    unsafe { libc::ioctl(1, libc::TIOCGWINSZ, &raw mut size) };
    (size.ws_row, size.ws_col)
}

/// Prints the terminal's size, and again on each SIGWINCH, until told to end.
#[locked_pipeline(lock = LOCK, log = LOG)]
fn sizes() {
    extern "C" fn resized(_: libc::c_int) {
        SIGNALS.fetch_add(1, Ordering::SeqCst);
    }
    // SAFETY: the handler adds to an atomic.
    unsafe { libc::signal(libc::SIGWINCH, resized as *const () as usize) };
    let directory = std::path::PathBuf::from(std::env::var_os("SUBJECT_DIR").unwrap());
    let mut told = u64::MAX;
    while !directory.join("go").exists() {
        let signals = SIGNALS.load(Ordering::SeqCst);
        if signals != told {
            told = signals;
            println!("{:?}", terminal_size());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Records about and above the size of a frame, from four threads, in a storm of signals.
#[locked_pipeline(lock = LOCK, log = LOG, max_size = "10GB", console_level = "off")]
fn signalled_records(rounds: u64) {
    start_signal_storm();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..rounds {
                    let length = [4040, 4096, 5000, 9000][round as usize % 4];
                    log::info!("{thread} {round} {}", "r".repeat(length));
                }
            });
        }
    });
    println!("{} signals", SIGNALS.load(Ordering::Relaxed));
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn coloured_record() {
    log::warn!("\x1b[1mbold\x1b[0m\nand \x1b[31mred\x1b[0m");
}

/// A thread of C code reads standard input, and holds that stream's lock, when the run ends.
#[locked_pipeline(lock = LOCK, log = LOG)]
fn c_reader() {
    std::thread::spawn(|| {
        let mut line = [0; 100];
        // SAFETY: the buffer has that room; the stream is this thread's.
        unsafe { libc::fgets(line.as_mut_ptr(), 100, libc::fdopen(0, c"r".as_ptr())) };
    });
    // SAFETY: a string that ends with NUL.
    unsafe { libc::puts(c"from C".as_ptr()) };
    let asleep = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
        tasks.filter(|task| std::fs::read_to_string(task.path().join("wchan")).unwrap().contains("read")).count()
    };
    while asleep() == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn records() {
    let counter = &counters()[0];
    for number in 0.. {
        log::info!("{}", line(number));
        counter.store(number + 1, Ordering::SeqCst);
    }
}
