//! The Python original's five tests, as whole processes, and what a loser of the lock leaves alone.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};
use std::time::Duration;

use support::{TestEnv, text, wait_for};

#[test]
fn acquisition() {
    let env = TestEnv::new();
    let mut holder = env.holder();
    assert!(env.is_locked());
    let record = fs::read_to_string(env.lock()).unwrap();
    assert!(record.starts_with(&format!("pid={}\nstarted=2", holder.id())), "{record}");
    assert_eq!(fs::metadata(env.lock()).unwrap().permissions().mode() & 0o777, 0o600);
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
    assert!(!env.is_locked());
    assert!(env.lock().exists(), "never deleted");
}

#[test]
fn contention_exit() {
    let env = TestEnv::new();
    let mut holder = env.holder();
    let before = fs::metadata(env.lock()).unwrap();
    let bytes = fs::read(env.lock()).unwrap();
    let loser = env.run(&["hold"]);
    assert_eq!(loser.status.code(), Some(0));
    assert_eq!(text(&loser.stdout), "", "the function did not run");
    let said = text(&loser.stderr);
    assert_eq!(said.lines().count(), 1);
    assert!(said.contains(&format!("run.lock is held by pid {} (", holder.id())), "{said}");
    assert!(said.contains("started 2") && said.contains("s ago"), "{said}");
    let log = env.log_text();
    let skipped = log.lines().find(|line| line.contains("[WARN ] guard_runtime: run skipped: ")).unwrap();
    assert!(skipped.contains(&format!("pid {}", holder.id())));
    let after = fs::metadata(env.lock()).unwrap();
    assert_eq!((before.ino(), before.mtime_nsec(), before.mode()), (after.ino(), after.mtime_nsec(), after.mode()));
    assert_eq!(fs::read(env.lock()).unwrap(), bytes);
    drop(holder.stdin.take());
    holder.wait().unwrap();
}

#[test]
fn release_by_sigkill_100_times() {
    let env = TestEnv::new();
    for _ in 0..100 {
        let _ = fs::remove_dir_all(env.path("logs"));
        let mut holder = env.holder();
        assert!(env.is_locked());
        holder.kill().unwrap();
        holder.wait().unwrap();
        // Right after: no waiting, no second try.
        assert!(!env.is_locked());
    }
}

#[test]
fn exception_safety() {
    let env = TestEnv::new();
    assert_eq!(env.run(&["panic", "1"]).status.code(), Some(101));
    assert!(!env.is_locked());
    assert!(env.run(&["code"]).status.code() == Some(3), "the next run takes it");
}

#[test]
fn directory_creation() {
    let env = TestEnv::new();
    assert!(!env.path("locks").exists() && !env.path("logs").exists());
    assert!(env.run(&["mixed", "1"]).status.success());
    assert!(env.lock().is_file() && env.log().is_file());
}

/// A foreign holder writes no record: it is held all the same, by whom is not known.
#[test]
fn held_by_flock() {
    let env = TestEnv::new();
    fs::create_dir_all(env.path("locks")).unwrap();
    fs::write(env.lock(), "pid=1\nsome older record\n").unwrap();
    let lock = env.lock();
    let mut foreign = Command::new("flock").arg("--no-fork").arg(&lock).args(["sleep", "100"]).spawn().unwrap();
    wait_for("flock to hold it", || env.is_locked());
    let before = fs::metadata(&lock).unwrap();
    let loser = env.run(&["hold"]);
    assert_eq!((loser.status.code(), text(&loser.stdout).as_str()), (Some(0), ""));
    assert!(text(&loser.stderr).contains("is held by an unknown process"), "{}", text(&loser.stderr));
    let after = fs::metadata(&lock).unwrap();
    assert_eq!((before.mtime(), before.mtime_nsec()), (after.mtime(), after.mtime_nsec()));
    assert_eq!(fs::read_to_string(&lock).unwrap(), "pid=1\nsome older record\n");
    foreign.kill().unwrap();
    foreign.wait().unwrap();
}

/// Bad surroundings: one line that names path, cause and remedy, exit 73, the function never run.
#[test]
fn set_up_errors() {
    type Spoil = fn(&TestEnv);
    let cases: [(Spoil, &str); 6] = [
        (
            |env| fs::write(env.path("locks"), "").unwrap(),
            "locks/run.lock: File exists (os error 17); something in the path is not a directory",
        ),
        (|env| fs::create_dir_all(env.lock()).unwrap(), "run.lock: is a directory, not a regular file"),
        (|env| fs::write(env.path("logs"), "").unwrap(), "logs/run.log: "),
        (|env| fs::create_dir_all(env.log()).unwrap(), "run.log: is a directory, not a regular file"),
        (
            |env| {
                fs::create_dir(env.path("locks")).unwrap();
                std::os::unix::fs::symlink("/etc/passwd", env.lock()).unwrap();
            },
            "run.lock: is a symbolic link, not a regular file",
        ),
        (
            |env| {
                fs::create_dir(env.path("logs")).unwrap();
                assert!(Command::new("mkfifo").arg(env.log()).status().unwrap().success());
            },
            "run.log: is a FIFO, not a regular file",
        ),
    ];
    for (spoil, message) in cases {
        let env = TestEnv::new();
        spoil(&env);
        let output = env.run(&["hold"]);
        let said = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(73), ""), "{said}");
        assert!(said.lines().count() == 1 && said.contains(message) && said.contains("; "), "{said}");
    }
}

#[test]
fn one_run_at_a_time_in_a_process() {
    let env = TestEnv::new();
    let output = env.run(&["nested"]);
    assert_eq!(output.status.code(), Some(73));
    let refusal = "another guarded run is active in this process; end it first";
    assert_eq!(env.entries(), [refusal.to_owned(), format!("subject: {refusal}")]);
    let env = TestEnv::new();
    assert!(env.run(&["twice"]).status.success());
    assert_eq!(env.log_text().matches("run finished in").count(), 2);
}

/// A background child that holds stdout open delays neither the end nor the next run, and is collected until it ends.
#[test]
fn a_background_child_keeps_nothing_waiting() {
    let env = TestEnv::new();
    let start = std::time::Instant::now();
    let status = env.subject(&["background"]).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success());
    println!("ended after {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_millis(if cfg!(debug_assertions) { 2000 } else { 200 }));
    assert!(!env.is_locked());
    assert!(env.closing_line().contains("run finished in"));
    assert!(!env.path("survived").exists());
    env.go();
    wait_for("the child's last words", || env.log_text().contains("[OUT  ] later\n"));
    wait_for("the child to go on after them", || env.path("survived").exists());
}

/// Limits under which a loser cannot write to the log, or even start a helper: it skips all the same.
#[test]
fn a_loser_under_a_limit() {
    let env = TestEnv::new();
    let mut holder = env.holder();
    fs::File::options().append(true).open(env.log()).unwrap().set_len(400_000).unwrap();
    let script = format!("ulimit -f 100; exec {} hold", env!("CARGO_BIN_EXE_subject"));
    let output = Command::new("sh").args(["-c", &script]).env("SUBJECT_DIR", env.path("")).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}: {}", output.status, text(&output.stderr));
    drop(holder.stdin.take());
    holder.wait().unwrap();
}
