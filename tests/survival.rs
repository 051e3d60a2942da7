//! Nothing printed is lost: not to `kill -9`, `abort`, a panic, a segmentation fault, `process::exit`.
#![allow(missing_docs)]

mod support;

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use support::{TestEnv, assert_counted, log_line, random, repeat, text, wait_for};

const LINES: &str = "200";

/// Every line that `end_by` and its like printed, and the closing line that starts so.
fn assert_complete(env: &TestEnv, closing: &str) {
    let line = env.closing_line();
    assert!(log_line::text(&line).unwrap().starts_with(closing), "{line}");
    assert_eq!(env.log_text().lines().last(), Some(&*line), "nothing stands behind it");
    let numbers: Vec<u64> =
        env.entries().iter().filter_map(|entry| entry.strip_prefix("line ")?.get(..8)?.parse().ok()).collect();
    assert_eq!(numbers, (0..200).collect::<Vec<_>>());
}

#[test]
fn kill_storm() {
    let printed = AtomicU64::new(0);
    repeat(300, |_| {
        let env = TestEnv::new();
        env.make_counters();
        let threads = 1 + random(4);
        let mut child = env.subject(&["count", &threads.to_string()]).stdout(Stdio::null()).spawn().unwrap();
        wait_for("the first line", || env.counters()[0] > 0);
        std::thread::sleep(Duration::from_micros(random(30_000)));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        let line = env.closing_line();
        assert!(line.contains("[ERROR] guard_runtime: run ended without finishing after "), "{line}");
        let entries = env.entries();
        assert!(entries.iter().all(|entry| entry.ends_with(&"x".repeat(75))), "lines are whole");
        printed.fetch_add(assert_counted(&env, &entries), Ordering::Relaxed);
    });
    println!("300 kills, {} lines printed, 0 lost", printed.into_inner());
}

#[test]
fn process_exit() {
    repeat(300, |_| {
        let env = TestEnv::new();
        let output = env.run(&["exit", LINES]);
        assert_eq!(output.status.code(), Some(3));
        assert_eq!(text(&output.stdout).lines().count(), 200);
        assert_complete(&env, "guard_runtime: run ended by process::exit(3) after ");
    });
}

#[test]
fn abort() {
    repeat(100, |_| {
        let env = TestEnv::new();
        assert_eq!(env.run(&["abort", LINES]).status.signal(), Some(libc::SIGABRT));
        assert_complete(&env, "guard_runtime: run ended without finishing after ");
    });
}

#[test]
fn segmentation_fault() {
    repeat(100, |_| {
        let env = TestEnv::new();
        assert_eq!(env.run(&["segfault", LINES]).status.signal(), Some(libc::SIGSEGV));
        assert_complete(&env, "guard_runtime: run ended without finishing after ");
    });
}

#[test]
fn panic() {
    repeat(100, |_| {
        let env = TestEnv::new();
        assert_eq!(env.run(&["panic", LINES]).status.code(), Some(101));
        assert_complete(&env, "guard_runtime: run panicked in ");
        let log = env.log_text();
        assert_eq!(log.matches("at the disco").count(), 1, "the message stands there once");
        assert!(log.contains("[ERR  ] thread 'main'") && log.contains("survival.rs:"), "{log}");
    });
}

/// The same program built anew with `panic = "abort"`.
#[test]
#[ignore = "builds the program a second time"]
fn panic_abort() {
    let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("abort");
    let build = std::process::Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--bin", "subject", "--config", "profile.dev.panic='abort'", "--target-dir"])
        .arg(&target)
        .status();
    assert!(build.unwrap().success());
    repeat(100, |_| {
        let env = TestEnv::new();
        let mut command = std::process::Command::new(target.join("debug/subject"));
        let output = command.args(["panic", LINES]).env("SUBJECT_DIR", env.path("")).output().unwrap();
        assert_eq!(output.status.signal(), Some(libc::SIGABRT));
        assert_complete(&env, "guard_runtime: run ended without finishing after ");
        assert_eq!(env.log_text().matches("at the disco").count(), 1, "the message stands there once");
    });
}

#[test]
fn an_error_and_an_exit_code() {
    let env = TestEnv::new();
    assert_eq!(env.run(&["fail"]).status.code(), Some(1));
    assert!(env.closing_line().ends_with(" MB): \"disk on fire\""));
    let env = TestEnv::new();
    assert_eq!(env.run(&["code"]).status.code(), Some(3));
    assert!(env.closing_line().ends_with(" MB): exit code 3"));
}

/// An error whose text fits no pipe: cut, and nobody waits for a reader of the rest.
#[test]
fn a_long_error() {
    let env = TestEnv::new();
    let mut child = env.subject(&["fail_long"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the end", || child.try_wait().unwrap().is_some_and(|status| status.code() == Some(1)));
    let line = env.closing_line();
    assert!(line.contains("run failed in") && line.len() > 10_000 && line.ends_with('…'), "{} bytes", line.len());
    env.go();
}

#[test]
fn two_threads_exit_at_once() {
    repeat(50, |_| {
        let env = TestEnv::new();
        assert_eq!(env.run(&["two_exits"]).status.code(), Some(9));
        assert!(env.closing_line().contains("run ended by process::exit"));
        assert_eq!(env.entries(), ["before"]);
    });
}

/// `main` has returned and waits for its console; a thread that exits then does not cut it short.
#[test]
fn exit_beside_the_end() {
    let env = TestEnv::new();
    // More than the console's pipe holds.
    let mut child = env.subject(&["exit_beside_the_end", "1500"]).stdout(Stdio::piped()).spawn().unwrap();
    assert!(env.closing_line().contains("run finished in"));
    env.go();
    wait_for("the thread", || env.path("exits").exists());
    // It is in `exit` a moment later.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(child.try_wait().unwrap(), None, "the console does not have it all");
    assert_eq!(std::io::read_to_string(child.stdout.take().unwrap()).unwrap().lines().count(), 1500);
    assert_eq!(child.wait().unwrap().code(), Some(9));
    assert!(env.closing_line().contains("run finished in"), "one closing line");
}

/// Threads that print all the time while the process exits.
#[test]
fn exit_in_a_crowd() {
    repeat(20, |_| {
        let env = TestEnv::new();
        let mut child = env.subject(&["crowd", "8"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        wait_for("a crowd", || env.log_text().contains("[OUT  ]"));
        drop(child.stdin.take());
        assert_eq!(child.wait().unwrap().code(), Some(4));
        assert!(env.closing_line().contains("run ended by process::exit"));
    });
}
