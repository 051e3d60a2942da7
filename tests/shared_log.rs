//! Several runs, or a run and its own console, write into one log.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::{COLLECTOR, TestEnv, helper, kill, log_line, logged, merge_stderr, printed, state, wait_for};

/// Prints numbered lines into a log of its own name's run that others share.
fn share(env: &TestEnv, mode: &str, lines: u64, name: &str) -> std::process::Child {
    env.subject(&[mode, &lines.to_string()]).env("NAME", name).stdout(Stdio::null()).spawn().unwrap()
}

/// Every line of that writer, whole and in order, over files that keep their size.
fn assert_shared(env: &TestEnv, names: &[&str], lines: u64, max_size: u64) {
    let mut numbers = vec![Vec::new(); names.len()];
    for entry in env.entries() {
        let mut words = entry.split(' ');
        let (name, number) = words.next().zip(words.next()).unwrap_or_else(|| panic!("a whole line: {entry}"));
        let writer = names.iter().position(|n| *n == name).unwrap_or_else(|| panic!("a whole line: {entry}"));
        numbers[writer].push(number.parse::<u64>().unwrap());
    }
    for (name, numbers) in names.iter().zip(numbers) {
        let differs = numbers.iter().zip(0..).find(|(found, wanted)| *found != wanted);
        assert!(
            numbers.iter().copied().eq(0..lines),
            "{name}: {} lines, the first that differs: {differs:?}",
            numbers.len()
        );
    }
    for file in env.log_files() {
        assert!(fs::metadata(&file).unwrap().len() <= max_size, "{}", file.display());
    }
}

fn two_runs_share_a_log(lines: u64) {
    let env = TestEnv::new();
    for mut child in ["a", "b"].map(|name| share(&env, "shared_log", lines, name)) {
        assert!(child.wait().unwrap().success());
    }
    assert_shared(&env, &["a", "b"], lines, 1_000_000);
    println!("2 x {lines} lines, {} files", env.log_files().len());
}

/// Two runs print into one log at the same time, rotating it: no line torn or lost, each writer's in order.
#[test]
fn two_runs_share_one_log() {
    two_runs_share_a_log(100_000);
}

#[test]
#[ignore = "two million lines"]
fn two_runs_share_one_log_for_long() {
    two_runs_share_a_log(1_000_000);
}

/// The first run is over, its collector writes on for a child that prints; the next run rotates beside it.
#[test]
fn a_lingering_collector_beside_the_next_run() {
    const LINES: u64 = 100_000;
    let env = TestEnv::new();
    for mode in ["lingering_log", "shared_log"] {
        assert!(share(&env, mode, LINES, "next").wait().unwrap().success());
    }
    wait_for("the child's last line", || env.log_text().contains(&format!("] child {}\n", LINES - 1)));
    assert_shared(&env, &["child", "next"], LINES, 1_000_000);
}

/// A peer's collector is stopped while it holds the log's lock.
#[test]
fn a_stopped_peer() {
    const LINES: u64 = 100_000;
    let env = TestEnv::new();
    let mut stopped = share(&env, "shared_log_until_go", LINES, "stopped");
    let collector = helper(stopped.id(), COLLECTOR);
    let holds_a_lock = || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|line| line.contains(" FLOCK ") && line.contains(&format!(" {collector} ")))
    };
    wait_for("a stop under the lock", || {
        kill(collector, libc::SIGSTOP);
        wait_for("the stop", || state(collector) == Some('T'));
        let is_caught = holds_a_lock();
        if !is_caught {
            kill(collector, libc::SIGCONT);
            std::thread::sleep(Duration::from_micros(support::random(1000)));
        }
        is_caught
    });
    let start = Instant::now();
    assert!(share(&env, "shared_log", LINES, "other").wait().unwrap().success());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(holds_a_lock(), "all the time");
    // The log may be past its size now: appended to, not rotated, while the stopped one holds it.
    env.go();
    kill(collector, libc::SIGCONT);
    assert!(stopped.wait().unwrap().success());
    let entries = env.entries();
    let numbers = |name: &str| {
        let (prefix, entries) = (format!("{name} "), entries.iter());
        let numbers = entries.filter_map(move |entry| entry.strip_prefix(&prefix)?.parse::<u64>().ok());
        numbers.collect::<Vec<_>>()
    };
    assert!(numbers("other").into_iter().eq(0..LINES));
    let (stopped, printed) = (numbers("stopped"), printed(&env));
    assert!(printed >= LINES && stopped.into_iter().eq(0..printed));
}

/// The lines of `flood`, each once, over files that keep their size.
fn assert_each_once(env: &TestEnv, lines: u64) {
    assert!(logged(env).into_iter().eq(0..lines), "each line once: {}", logged(env).len());
    let sizes: Vec<u64> = env.log_files().iter().map(|file| fs::metadata(file).unwrap().len()).collect();
    assert!(sizes.iter().all(|size| *size <= 5_000_000), "{sizes:?}");
}

/// `job >>logs/run.log 2>&1`, by whatever path: the console's copy is the log, which does not need it.
#[test]
fn the_console_is_the_log() {
    for path in ["logs/run.log", "link/run.log", "hard_link"] {
        let env = TestEnv::new();
        fs::create_dir(env.path("logs")).unwrap();
        std::os::unix::fs::symlink(env.path("logs"), env.path("link")).unwrap();
        fs::write(env.log(), "").unwrap();
        fs::hard_link(env.log(), env.path("hard_link")).unwrap();
        let console = fs::File::options().append(true).open(env.path(path)).unwrap();
        let mut command = env.subject(&["flood", "100000"]);
        assert!(merge_stderr(command.stdout(console)).status().unwrap().success());
        assert_each_once(&env, 100_000);
        let told = |line: &&str| log_line::is_ours(line) && line.contains("console");
        assert_eq!(env.log_text().lines().filter(told).count(), 1, "one line says so");
    }
}

/// A child that is annotated too, with a lock of its own and the same log.
#[test]
#[cfg_attr(guard_portable, ignore = "whose stream a console is is not told there")]
fn an_annotated_child_with_the_same_log() {
    let env = TestEnv::new();
    let output = env.subject(&["shared_log_with_child", "1000"]).env("NAME", "parent").output().unwrap();
    assert!(output.status.success());
    assert_shared(&env, &["parent", "child"], 1000, 1_000_000);
    let shown = support::text(&output.stdout);
    let all: String =
        ["child", "parent"].iter().flat_map(|name| (0..1000).map(move |n| format!("{name} {n}\n"))).collect();
    assert!(shown == all, "the console has what it would have without the attribute");
}

/// The outer run's helper does not get to run for a while after it was ready.
#[test]
#[ignore = "needs strace"]
fn an_annotated_child_beside_a_slow_helper() {
    let env = TestEnv::new();
    let mut command = std::process::Command::new("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=recvmsg", "-e", "inject=recvmsg:delay_enter=200000"]);
    command.args([env!("CARGO_BIN_EXE_subject"), "shared_log_with_child", "1000"]);
    command.env("SUBJECT_DIR", env.path("")).env("NAME", "parent").stdout(Stdio::null());
    assert!(command.status().unwrap().success());
    assert_shared(&env, &["parent", "child"], 1000, 1_000_000);
}

/// So many runs write beside each other, and a line is complete whenever another one looks at the file.
#[test]
#[ignore = "takes half a minute"]
fn eight_writers_leave_no_blank_line() {
    const LINES: u64 = 50_000;
    const NAMES: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let env = TestEnv::new();
    for mut child in NAMES.map(|name| share(&env, "wide_shared_log", LINES, name)) {
        assert!(child.wait().unwrap().success());
    }
    let log = env.log_text();
    assert_eq!(log.lines().filter(|line| line.is_empty()).count(), 0, "blank lines");
    assert!(log.lines().all(|line| log_line::text(line).is_some()), "each line has a stamp");
    assert_shared(&env, &NAMES, LINES, 5_000_000);
}

/// A peer has the lock most of the time, and is in the middle of a line while it does; but it lives, and lets go.
#[test]
fn a_busy_peer() {
    assert!((0..20).any(|_| beside_a_busy_peer()), "the test's thread is kept from a processor");
}

/// Says whether the peer let go in time, each time: one that has the lock for half a second counts as stopped.
fn beside_a_busy_peer() -> bool {
    const LINES: u64 = 3000;
    let env = TestEnv::new();
    let mut child = share(&env, "small_shared_log", LINES, "a");
    wait_for("the log", || env.log_text().contains("] a 0 "));
    let (mut written, mut longest) = (0, Duration::ZERO);
    while child.try_wait().unwrap().is_none() {
        // In the middle of a rotation there is none.
        let Ok(mut file) = fs::File::options().append(true).open(env.log()) else { continue };
        file.lock().unwrap();
        let locked = Instant::now();
        let is_still_the_log = fs::metadata(env.log()).is_ok_and(|log| log.ino() == file.metadata().unwrap().ino());
        if is_still_the_log && file.metadata().unwrap().len() < 99_000 {
            write!(file, "2026-11-25T13:43:22.000000Z [OUT  ] peer {written}").unwrap();
            std::thread::sleep(Duration::from_millis(150));
            file.write_all(b" whole\n").unwrap();
            written += 1;
        }
        file.unlock().unwrap();
        longest = longest.max(locked.elapsed());
        std::thread::sleep(Duration::from_millis(3));
    }
    assert!(child.wait().unwrap().success());
    if longest > Duration::from_millis(450) {
        return false;
    }
    println!("the peer had the lock {written} times");
    let log = env.log_text();
    assert_eq!(log.lines().filter(|line| line.is_empty()).count(), 0, "blank lines");
    let entries = env.entries();
    let count = |start, end| entries.iter().filter(|entry| entry.starts_with(start) && entry.ends_with(end)).count();
    assert_eq!((count("a ", "x"), count("peer ", " whole")), (LINES as usize, written), "whole lines");
    let sizes: Vec<u64> = env.log_files().iter().map(|file| fs::metadata(file).unwrap().len()).collect();
    assert!(sizes.iter().all(|size| *size <= 100_000), "{sizes:?}");
    true
}
