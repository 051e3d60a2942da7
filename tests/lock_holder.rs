//! What a run does that finds the lock held: waits for it, and judges whether its holder is stuck.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use support::{TestEnv, kill, text, wait_for};

/// Microseconds since 1970 of a stamp of today.
fn micros(stamp: &str) -> u64 {
    let today = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() / 86_400;
    let field = |range: std::ops::Range<usize>| stamp[range].parse::<u64>().unwrap();
    (today * 86_400 + field(11..13) * 3600 + field(14..16) * 60 + field(17..19)) * 1_000_000 + field(20..26)
}

/// From the release to the first line of the run that waited, in microseconds.
fn wait_latency(held_for: Duration) -> u64 {
    let env = TestEnv::new();
    let mut holder = env.holder();
    let mut waiter = env.subject(&["wait"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut said = String::new();
    let mut stderr = BufReader::new(waiter.stderr.take().unwrap());
    stderr.read_line(&mut said).unwrap();
    assert!(said.contains("run.lock is held by pid ") && said.contains("; waiting up to 5s for it"), "{said}");
    std::thread::sleep(held_for);
    holder.kill().unwrap();
    holder.wait().unwrap();
    let released = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_micros() as u64;
    assert!(waiter.wait().unwrap().success());
    said.clear();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(said, "", "announced once");
    let log = env.log_text();
    let line = log.lines().find(|line| line.ends_with("[OUT  ] mine")).unwrap();
    micros(line).saturating_sub(released)
}

#[test]
fn a_wait_ends_soon_after_the_release() {
    let latency = wait_latency(Duration::from_millis(200));
    println!("{latency} us");
    assert!(latency < 2_000_000, "it did not sleep its five seconds through: {latency} us");
}

#[test]
#[ignore = "takes half a minute"]
fn fifty_waits() {
    let latencies = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let latency = wait_latency(Duration::from_secs(2));
                    latencies.lock().unwrap().push(latency);
                }
            });
            // Lets each of the five have the machine to itself when it is its turn.
            std::thread::sleep(Duration::from_millis(400));
        }
    });
    let mut latencies = latencies.into_inner().unwrap();
    latencies.sort_unstable();
    println!("release to first line: median {} us, worst {} us", latencies[25], latencies[49]);
    // The worst is shown, not asserted: on a busy machine it is the disk's or the scheduler's.
    assert!(latencies[44] < 50_000, "{latencies:?}");
}

#[test]
fn a_wait_that_is_over_and_one_that_is_told_to_end() {
    let env = TestEnv::new();
    let mut holder = env.holder();
    let start = Instant::now();
    let output = env.run(&["wait"]);
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), ""));
    assert!(start.elapsed() >= Duration::from_secs(5));
    assert_eq!(text(&output.stderr).lines().count(), 2, "announced, then skipped");
    let mut waiter = env.subject(&["wait"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(waiter.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("; waiting up to 5s for it"), "{line}");
    assert!(kill(waiter.id(), libc::SIGTERM));
    assert_eq!(waiter.wait().unwrap().signal(), Some(libc::SIGTERM));
    drop(holder.stdin.take());
    holder.wait().unwrap();
}

#[test]
fn a_stuck_holder_is_told() {
    let env = TestEnv::new();
    let mut holder = env.holder();
    let mut code = Some(0);
    wait_for("the holder to be old", || {
        code = env.run(&["stuck"]).status.code();
        code != Some(0)
    });
    assert_eq!(code, Some(75));
    assert!(env.log_text().contains("longer than the 100ms that a run may take: check on it"));
    assert_eq!(env.run(&["stuck_in_an_hour"]).status.code(), Some(0), "it is not so old");
    // Of a holder that is not known, no age is.
    fs::write(env.lock(), "garbage").unwrap();
    assert_eq!(env.run(&["stuck"]).status.code(), Some(0));
    drop(holder.stdin.take());
    holder.wait().unwrap();
}

/// The clock is set during the run: how old a holder is does not depend on it. (What a clock set ahead makes of the time in
/// the record is what an earlier time in the record makes of the clock.)
#[test]
fn a_holders_age_does_not_follow_the_clock() {
    let env = TestEnv::new();
    let mut holder = env.holder();
    let record = fs::read_to_string(env.lock()).unwrap();
    let started: u64 = record.lines().find_map(|line| line.strip_prefix("started_us=")).unwrap().parse().unwrap();
    let hours = |hours: i64| {
        let moved = started.saturating_add_signed(hours * 3_600_000_000);
        fs::write(env.lock(), record.replace(&started.to_string(), &moved.to_string())).unwrap();
    };
    hours(-2);
    assert_eq!(env.run(&["stuck_in_an_hour"]).status.code(), Some(0), "the clock was set ahead");
    hours(2);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(env.run(&["stuck"]).status.code(), Some(75), "the clock was set back");
    drop(holder.stdin.take());
    holder.wait().unwrap();
}
