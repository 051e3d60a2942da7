//! Several runs, or a run and its own console, write into one log.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use support::{COLLECTOR, TestEnv, helper, kill, printed, state, wait_for};

/// Prints numbered lines into a log of its own name's run that others share.
fn share(env: &TestEnv, mode: &str, lines: u64, name: &str) -> std::process::Child {
    env.subject(&[mode, &lines.to_string()]).env("NAME", name).stdout(Stdio::null()).spawn().unwrap()
}

/// Every line of that writer, whole and in order, over files that keep their size.
fn assert_shared(env: &TestEnv, names: &[&str], lines: u64) {
    let mut numbers = vec![Vec::new(); names.len()];
    for entry in env.entries() {
        let (name, number) = entry.split_once(' ').unwrap_or_else(|| panic!("a whole line: {entry}"));
        let writer = names.iter().position(|n| *n == name).unwrap_or_else(|| panic!("a whole line: {entry}"));
        numbers[writer].push(number.parse::<u64>().unwrap());
    }
    for (name, numbers) in names.iter().zip(numbers) {
        assert!(numbers.into_iter().eq(0..lines), "{name}");
    }
    for file in env.log_files() {
        assert!(fs::metadata(file).unwrap().len() <= 1_000_000);
    }
}

fn two_runs_share_a_log(lines: u64) {
    let env = TestEnv::new();
    for mut child in ["a", "b"].map(|name| share(&env, "shared_log", lines, name)) {
        assert!(child.wait().unwrap().success());
    }
    assert_shared(&env, &["a", "b"], lines);
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
    assert_shared(&env, &["child", "next"], LINES);
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
