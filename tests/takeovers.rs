//! Any helper may be killed, at any moment and again and again: the other one takes over.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::{
    COLLECTOR, STANDBY, STANDBY_REPLACED, TAKEN_OVER, TestEnv, are_gone, helper, helpers, kill, logged, printed,
    random, repeat, strace, wait_for,
};

/// Two batches of lines of 90 bytes, and the lines that they cut at either end.
const MOST_MISSING: u64 = 2 * (256 * 1024 / 90 + 2);

/// One helper, then the other, within so many milliseconds: the job keeps its exit code, and misses at most a batch.
fn each_helper_killed_in_turn(runs: u64, lines: u64, within: u64) {
    let (missing, all) = (AtomicU64::new(0), AtomicU64::new(0));
    repeat(runs, |_| {
        let env = TestEnv::new();
        let mut command = env.subject(&["flood_on_in_one_file", &lines.to_string()]);
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let mut killed = Vec::new();
        for name in [COLLECTOR, STANDBY, COLLECTOR] {
            let mut next = None;
            wait_for("a collector and a standby", || {
                // Looked at once: a helper that comes or goes between two looks would make a third picture.
                let mut living = helpers(child.id());
                living.retain(|(pid, _)| !killed.contains(pid));
                // Two that are named by age are not yet a pair: one that is dying may have been the third.
                let has = |name| living.iter().any(|(_, other)| other == name);
                let both = living.len() == 2 && has(COLLECTOR) && has(STANDBY);
                next = living.into_iter().find(|(_, n)| both && n == name);
                next.is_some()
            });
            let (helper, _) = next.unwrap();
            std::thread::sleep(Duration::from_millis(random(within)));
            assert!(kill(helper, 9));
            killed.push(helper);
            if name == STANDBY {
                // A collector that is killed at once cannot tell of its standby any more.
                wait_for("word of the standby", || env.log_text().contains(STANDBY_REPLACED));
            }
        }
        env.go();
        assert_eq!(child.wait().unwrap().code(), Some(7), "the job ends as it would");
        assert!(env.closing_line().contains("run ended by process::exit"));
        let log = env.log_text();
        let ours = log.lines().filter(|line| line.contains("guard_runtime: ")).collect::<Vec<_>>().join("\n");
        assert_eq!(log.matches(TAKEN_OVER).count(), 2, "{killed:?}:\n{ours}");
        assert_eq!(log.matches(STANDBY_REPLACED).count(), 1, "{killed:?}:\n{ours}");
        let (printed, logged) = (printed(&env), log.matches(&("x".repeat(75) + "\n")).count() as u64);
        assert!(printed - logged <= MOST_MISSING, "{} lines are missing", printed - logged);
        all.fetch_add(printed, Ordering::Relaxed);
        missing.fetch_add(printed - logged, Ordering::Relaxed);
    });
    let (missing, all) = (missing.into_inner(), all.into_inner());
    println!("{} helpers killed, {missing} of {all} lines missing", 3 * runs);
}

#[test]
fn helpers_killed_in_turn() {
    each_helper_killed_in_turn(10, 100_000, 10);
}

#[test]
#[ignore = "takes minutes"]
fn helpers_killed_in_turn_for_long() {
    each_helper_killed_in_turn(50, 1_000_000, 400);
}

/// The collector is killed, and the standby while it takes over: the third one, which that has forked first of all,
/// takes over in its turn.
#[test]
fn killed_during_the_takeover() {
    let (runs, told) = (25, AtomicU64::new(0));
    repeat(runs, |_| {
        let env = TestEnv::new();
        let mut child = env.subject(&["flood_on_in_one_file", "0"]).stdout(Stdio::null()).spawn().unwrap();
        let first = helper(child.id(), COLLECTOR);
        let second = helper(child.id(), STANDBY);
        assert!(kill(first, 9));
        wait_for("a successor", || helpers(child.id()).iter().any(|(pid, _)| *pid != first && *pid != second));
        assert!(kill(second, 9));
        env.go();
        assert_eq!(child.wait().unwrap().code(), Some(7), "the job ends as it would");
        assert!(env.closing_line().contains("run ended by process::exit"));
        // The second may have been killed before it could tell of the first.
        told.fetch_add(env.log_text().matches(TAKEN_OVER).count() as u64, Ordering::Relaxed);
        let missing = printed(&env) - logged(&env).len() as u64;
        assert!(missing <= MOST_MISSING, "{missing} lines are missing");
    });
    let told = told.into_inner();
    println!("{runs} takeovers killed, {told} notes");
    assert!(told >= runs, "each run tells of it");
}

/// A collector that dies as soon as it collects does not keep a processor busy with forks.
#[test]
#[cfg_attr(guard_portable, ignore = "a helper that rests cannot be told from one that collects: none has a name there")]
fn collectors_that_die_at_once() {
    let env = TestEnv::new();
    let mut child = env.subject(&["flood_on_in_one_file", "0"]).stdout(Stdio::null()).spawn().unwrap();
    let (mut last, mut kills) = (0, 0);
    let mut rested = |least: Duration| {
        let killed = Instant::now();
        wait_for("the next collector", || {
            let collector = helpers(child.id()).into_iter().find(|(pid, name)| name == COLLECTOR && *pid != last);
            collector.inspect(|(pid, _)| last = *pid).is_some()
        });
        kills += 1;
        // A standby that is new has the collector's name for a moment: some of these are standbys.
        assert!(kill(last, 9) && kills < 1000);
        killed.elapsed() > least
    };
    while !rested(Duration::from_millis(900)) {}
    while !rested(Duration::from_millis(1900)) {}
    println!("{kills} kills");
    env.go();
    assert_eq!(child.wait().unwrap().code(), Some(7), "the job ends as it would");
    assert!(env.closing_line().contains("run ended by process::exit"));
}

/// The second one is killed on its way back into the log, which it opens to tell of the first.
#[test]
#[ignore = "needs strace"]
fn killed_in_the_middle_of_the_takeover() {
    repeat(10, |_| {
        let env = TestEnv::new();
        let mut child = env.subject(&["flood_on_in_one_file", "0"]).stdout(Stdio::null()).spawn().unwrap();
        let [first, second] = [COLLECTOR, STANDBY].map(|name| helper(child.id(), name));
        let mut strace = strace(second, "openat:signal=KILL:when=1");
        assert!(kill(first, 9));
        strace.wait().unwrap();
        env.go();
        assert_eq!(child.wait().unwrap().code(), Some(7), "the job ends as it would");
        assert!(env.closing_line().contains("run ended by process::exit"));
        let log = env.log_text();
        assert_eq!(log.matches(TAKEN_OVER).count(), 1, "the third alone can tell");
        assert!(log.contains(&format!("the collector (pid {second}) was killed")));
        assert!(printed(&env) - logged(&env).len() as u64 <= MOST_MISSING);
    });
}

/// The collector has taken the closing line out of the pipe and is killed at its second write from then on: the line is in the
/// journal, and stands once.
#[test]
#[ignore = "needs strace"]
fn killed_with_the_closing_line_in_its_hands() {
    // The log is written between two calls of flock(2).
    for (call, which) in ["write", "flock"].into_iter().flat_map(|call| (1..=6).map(move |which| (call, which))) {
        let env = TestEnv::new();
        let mut holder = env.holder();
        let collector = helper(holder.id(), COLLECTOR);
        let mut strace = strace(collector, &format!("{call}:signal=KILL:when={which}"));
        drop(holder.stdin.take());
        strace.wait().unwrap();
        assert!(holder.wait().unwrap().success());
        let told = env.log_text().matches("[INFO ] guard_runtime: run finished in ").count();
        assert_eq!(told, 1, "killed at {call} {which}: {}", env.log_text());
        assert_eq!(env.entries(), ["held"]);
    }
}

/// Somebody else has the log's lock, which helpers wait for; in that time the standby is killed, and then the collector.
#[test]
fn both_helpers_killed_while_the_log_is_locked() {
    for _ in 0..10 {
        let env = TestEnv::new();
        let mut child = env.subject(&["prompt"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for("a record", || env.log_text().contains("] subject::input: asked\n"));
        let [collector, standby] = [COLLECTOR, STANDBY].map(|name| helper(child.id(), name));
        let log = fs::File::open(env.log()).unwrap();
        log.lock().unwrap();
        let killed = Instant::now();
        assert!(kill(standby, 9));
        let is_new = |pid| ![collector, standby].contains(&pid);
        wait_for("another standby", || helpers(child.id()).iter().any(|(pid, _)| is_new(*pid)));
        assert!(
            killed.elapsed() < Duration::from_millis(450),
            "it is forked before the log is waited for, not after that"
        );
        std::thread::sleep(Duration::from_millis(random(45)));
        assert!(kill(collector, 9));
        log.unlock().unwrap();
        env.go();
        assert!(child.wait().unwrap().success(), "the job ends as it would");
        assert!(env.closing_line().contains("run finished in"));
        assert!(env.entries().iter().any(|entry| entry.ends_with("thank you")), "{}", env.log_text());
    }
}

/// Each takeover begins where the one before was: on the stack of the thread that started the run, if nobody cares.
#[test]
fn a_hundred_takeovers_on_a_small_stack() {
    let env = TestEnv::new();
    let mut child = env.subject(&["on_small_stack"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("a record", || env.log_text().contains("] subject::input: asked\n"));
    let mut killed = 0;
    for _ in 0..120 {
        wait_for("both helpers, or neither", || matches!(helpers(child.id()).len(), 0 | 2));
        let Some((collector, _)) = helpers(child.id()).into_iter().find(|(_, name)| name == COLLECTOR) else { break };
        assert!(kill(collector, 9));
        killed += 1;
        wait_for("its end", || are_gone(&[collector]));
        wait_for("a successor", || {
            let living = helpers(child.id());
            living.is_empty() || living.len() == 2 && living.iter().any(|(_, name)| name == COLLECTOR)
        });
    }
    let left = helpers(child.id()).len();
    env.go();
    let status = child.wait().unwrap();
    println!("{killed} killed, {left} left, {status}");
    assert_eq!((killed, left, status.success()), (120, 2, true));
    assert!(env.closing_line().contains("run finished in"));
}
