//! The verdict: whoever should hear of a run's end hears of it, however that came.
#![allow(missing_docs)]

mod support;

use std::collections::HashMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{COLLECTOR, STANDBY, TestEnv, are_gone, helper, helpers, kill, log_line, random, repeat, text, wait_for};

/// What the command is told, in a file that is there as a whole or not at all.
const TELL: &str =
    "env | grep ^GUARD_ | sort > $SUBJECT_DIR/hook.$$ && mv $SUBJECT_DIR/hook.$$ $SUBJECT_DIR/told.$GUARD_PID
echo told";

trait Verdict {
    fn with_hook(self, script: &str) -> Self;
    fn status_path(&self) -> PathBuf;
    fn metrics_path(&self) -> PathBuf;
    fn status(&self) -> Value;
    fn sample(&self, name: &str) -> Option<f64>;
    fn told(&self, pid: u32) -> HashMap<String, String>;
}

impl Verdict for TestEnv {
    fn with_hook(self, script: &str) -> Self {
        fs::write(self.path("hook.sh"), script).unwrap();
        self
    }

    fn status_path(&self) -> PathBuf {
        self.path("status.json")
    }

    fn metrics_path(&self) -> PathBuf {
        self.path("metrics/run.prom")
    }

    fn status(&self) -> Value {
        serde_json::from_slice(&fs::read(self.status_path()).unwrap()).unwrap()
    }

    fn sample(&self, name: &str) -> Option<f64> {
        let text = fs::read_to_string(self.metrics_path()).unwrap();
        let prefix = format!("guard_run_{name}{{task=\"run\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&prefix)).map(|value| value.parse().unwrap())
    }

    /// What the command was told, once it was.
    fn told(&self, pid: u32) -> HashMap<String, String> {
        let path = self.path(&format!("told.{pid}"));
        wait_for("the command", || path.exists() && self.log_text().contains("[HOOK ] told\n"));
        let text = fs::read_to_string(path).unwrap();
        text.lines().filter_map(|line| line.split_once('=')).map(|(name, value)| (name.into(), value.into())).collect()
    }
}

/// One way to end, and all that is to be said of it.
struct End {
    how: &'static str,
    /// Sent by the test.
    signal: i32,
    /// Between the figures of the closing line.
    closing: [&'static str; 2],
    state: &'static str,
    detail: Value,
    exit_code: Value,
    signalled: Value,
    hook_code: &'static str,
}

fn ends() -> Vec<End> {
    let end = |how, closing, state, detail, exit_code, signalled, hook_code| {
        let signal = match how {
            "SIGTERM" => libc::SIGTERM,
            "SIGKILL" => libc::SIGKILL,
            _ => 0,
        };
        End { how, signal, closing, state, detail, exit_code, signalled, hook_code }
    };
    let (null, died) = (Value::Null, "run ended without finishing after ");
    let future = "its future was dropped before it was done";
    vec![
        end("well", ["run finished in ", " MB)"], "succeeded", null.clone(), null.clone(), null.clone(), "0"),
        end(
            "error",
            ["run failed in ", " MB): \"disk on fire\""],
            "failed",
            json!("\"disk on fire\""),
            null.clone(),
            null.clone(),
            "1",
        ),
        end("panic", ["run panicked in ", " MB)"], "panicked", null.clone(), null.clone(), null.clone(), "101"),
        end(
            "exit_0",
            ["run ended by process::exit(0) after ", " MB)"],
            "succeeded",
            null.clone(),
            json!(0),
            null.clone(),
            "0",
        ),
        end(
            "exit_3",
            ["run ended by process::exit(3) after ", " MB)"],
            "exited",
            null.clone(),
            json!(3),
            null.clone(),
            "3",
        ),
        end("leave_0", [died, "s: exit code 0"], "succeeded", json!("exit code 0"), json!(0), null.clone(), "0"),
        end("leave_3", [died, "s: exit code 3"], "exited", json!("exit code 3"), json!(3), null.clone(), "3"),
        end(
            "abort",
            [died, "s: aborted (SIGABRT)"],
            "killed",
            json!("aborted (SIGABRT)"),
            null.clone(),
            json!(6),
            "134",
        ),
        end(
            "segfault",
            [died, "s: crashed (SIGSEGV)"],
            "killed",
            json!("crashed (SIGSEGV)"),
            null.clone(),
            json!(11),
            "139",
        ),
        end(
            "SIGTERM",
            [died, "s: killed by SIGTERM"],
            "killed",
            json!("killed by SIGTERM"),
            null.clone(),
            json!(15),
            "143",
        ),
        end(
            "SIGKILL",
            [died, "s: killed by SIGKILL"],
            "killed",
            json!("killed by SIGKILL"),
            null.clone(),
            json!(9),
            "137",
        ),
        end("dropped", ["run dropped after ", future], "dropped", json!(future), null.clone(), null, "1"),
    ]
}

/// Ends a run so, and looks at all that is said of it. `reaped`: its parent waits for it at once.
fn assert_told(env: &TestEnv, end: &End, reaped: bool) {
    let how = end.how;
    let mut command = env.subject(&["end_told", how]);
    // A core dump takes time, and its flag is not the same everywhere.
    let no_core = || {
        // SAFETY: sets a limit of the child's.
        #[allow(unsafe_code)]
        unsafe {
            libc::setrlimit(libc::RLIMIT_CORE, &libc::rlimit { rlim_cur: 0, rlim_max: 0 });
        }
        Ok(())
    };
    // SAFETY: a system call.
    #[allow(unsafe_code)]
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(&mut command, no_core);
    }
    command.env("GUARD_STATE", "of an outer run").env("RUST_BACKTRACE", "0");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    if end.signal != 0 {
        wait_for("the run to wait", || env.log_text().contains("about to end") && env.status_path().exists());
        assert_eq!(env.status()["state"], "running", "{how}");
        assert_eq!(env.status()["pid"], pid, "{how}");
        wait_for("the metrics", || env.metrics_path().exists());
        assert_eq!(env.sample("running"), Some(1.0), "{how}");
        kill(pid, end.signal);
    }
    if reaped {
        child.wait().unwrap();
    }
    let told = env.told(pid);
    let closing = env.closing_line();
    child.wait().unwrap();
    let said = closing.split_once("] guard_runtime: ").unwrap().1;
    assert!(said.starts_with(end.closing[0]) && said.ends_with(end.closing[1]), "{how}: {said}");
    let status = env.status();
    let expected = [
        ("version", json!(1)),
        ("state", json!(end.state)),
        ("detail", end.detail.clone()),
        ("exit_code", end.exit_code.clone()),
        ("signal", end.signalled.clone()),
        ("pid", json!(pid)),
        ("lock", json!(env.lock())),
        ("log", json!(env.log())),
        ("failures_in_a_row", json!(u8::from(end.state != "succeeded"))),
    ];
    for (key, value) in expected {
        assert_eq!(status[key], value, "{how}: {key}");
    }
    let has_figures = said.contains(" MB)");
    assert_eq!(status["processor_seconds"].is_number(), has_figures, "{how}");
    assert_eq!(status["max_memory_bytes"].as_u64().is_some_and(|bytes| bytes > 1_000_000), has_figures, "{how}");
    assert!(status["seconds"].as_f64().unwrap() >= 0.0 && status["ended"].is_string(), "{how}");
    assert_eq!(status["last_success"].is_null(), end.state != "succeeded", "{how}");
    assert_eq!(env.sample("running"), Some(0.0), "{how}");
    assert_eq!(env.sample("last_succeeded"), Some(f64::from(u8::from(end.state == "succeeded"))), "{how}");
    assert_eq!(env.sample("last_success_timestamp_seconds").is_some(), end.state == "succeeded", "{how}");
    assert_eq!(env.sample("last_max_memory_bytes").is_some(), has_figures, "{how}");
    let variable = |name: &str| told.get(&format!("GUARD_{name}")).unwrap_or_else(|| panic!("{how}: {name}")).clone();
    let or_empty = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    assert_eq!(variable("STATE"), end.state, "{how}");
    assert_eq!(variable("DETAIL"), or_empty(&end.detail), "{how}");
    assert_eq!(variable("EXIT_CODE"), end.hook_code, "{how}");
    assert_eq!(variable("SIGNAL"), or_empty(&end.signalled), "{how}");
    assert_eq!(variable("PID"), pid.to_string(), "{how}");
    assert_eq!(variable("STARTED"), or_empty(&status["started"]), "{how}");
    assert_eq!(variable("LOCK"), env.lock().display().to_string(), "{how}");
    assert_eq!(variable("LOG"), env.log().display().to_string(), "{how}");
    assert_eq!(variable("LAST_SUCCESS"), or_empty(&status["last_success"]["ended"]), "{how}");
    assert_eq!(variable("SECONDS").parse::<f64>().ok(), status["seconds"].as_f64(), "{how}");
    println!("| {how} | {said} | {} | {} | {} |", end.state, status["exit_code"], variable("EXIT_CODE"));
}

#[test]
#[cfg_attr(guard_portable, ignore = "no exit status is told there")]
fn every_end_is_told_where_the_parent_reaps_at_once_and_where_it_does_not() {
    for reaped in [true, false] {
        for end in ends() {
            assert_told(&TestEnv::new().with_hook(TELL), &end, reaped);
        }
    }
}

/// The helper that has the run's end in its hands dies over it: the other one tells.
#[test]
#[cfg_attr(guard_portable, ignore = "no exit status is told there")]
fn every_end_is_told_by_the_standby_too() {
    for end in ends().into_iter().filter(|end| end.signal != 0) {
        let env = TestEnv::new().with_hook(TELL);
        let mut child =
            env.subject(&["end_told", end.how]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        wait_for("the metrics", || env.metrics_path().exists());
        kill(helper(child.id(), COLLECTOR), libc::SIGKILL);
        kill(child.id(), end.signal);
        let told = env.told(child.id());
        child.wait().unwrap();
        assert_eq!((&*told["GUARD_STATE"], &env.status()["state"]), ("killed", &json!("killed")));
        assert!(env.closing_line().ends_with(end.closing[1]), "{}", env.closing_line());
        assert_eq!(env.sample("running"), Some(0.0));
    }
}

fn kills(count: u64) {
    repeat(count, |_| {
        let env = TestEnv::new().with_hook(TELL);
        let mut command = env.subject(&["end_all", "SIGKILL"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let console = child.stdout.take().unwrap();
        let pid = child.id();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    if let Ok(bytes) = fs::read(env.status_path()) {
                        let status: Value = serde_json::from_slice(&bytes).expect("a whole status");
                        assert!(status["failures_in_a_row"].is_number());
                    }
                    if let Ok(text) = fs::read_to_string(env.metrics_path()) {
                        assert!(text.ends_with("} 0\n") || text.ends_with("} 1\n"), "whole metrics: {text}");
                    }
                }
            });
            wait_for("the run to start", || env.log_text().contains("run started"));
            std::thread::sleep(Duration::from_micros(random(3_000)));
            kill(pid, libc::SIGKILL);
            child.wait().unwrap();
            // What the log has, the console has.
            let shown = std::io::read_to_string(console).unwrap();
            assert_eq!(shown.lines().count(), env.log_text().matches("[OUT  ] about to end").count(), "{shown}");
            let told = env.told(pid);
            assert!(env.closing_line().ends_with("s: killed by SIGKILL"), "{}", env.closing_line());
            assert_eq!((&*told["GUARD_STATE"], &*told["GUARD_EXIT_CODE"]), ("killed", "137"));
            assert_eq!((&env.status()["state"], &env.status()["signal"]), (&json!("killed"), &json!(9)));
            assert_eq!((env.sample("running"), env.sample("failures_in_a_row")), (Some(0.0), Some(1.0)));
            done.store(true, Ordering::Relaxed);
            reader.join().unwrap();
        });
    });
}

#[test]
#[cfg_attr(guard_portable, ignore = "no exit status is told there")]
fn kills_at_random_moments() {
    kills(20);
}

#[test]
#[ignore = "minutes"]
fn three_hundred_kills_at_random_moments() {
    kills(300);
}

/// The kernel frees the lock with the run's death, and nobody takes it where no process of the run is left.
#[test]
fn the_next_run_is_not_skipped_after_a_kill() {
    repeat(20, |_| {
        let env = TestEnv::new().with_hook("true");
        let mut child =
            env.subject(&["end_told", "SIGKILL"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        wait_for("the run", || env.log_text().contains("about to end"));
        kill(child.id(), libc::SIGKILL);
        child.wait().unwrap();
        assert_eq!(text(&env.run(&["end_told", "well"]).stdout), "about to end: well\n", "{}", env.log_text());
        assert!(!env.log_text().contains("skipped"));
    });
}

/// The run and both helpers at once, as by a power cut.
fn kill_with_helpers(mut child: std::process::Child) {
    let all = [helper(child.id(), COLLECTOR), helper(child.id(), STANDBY), child.id()];
    for signal in [libc::SIGSTOP, libc::SIGKILL] {
        for pid in all {
            kill(pid, signal);
        }
    }
    child.wait().unwrap();
    wait_for("their end", || are_gone(&all));
}

/// A loser tells of a holder that is stuck, but not again each minute.
#[test]
fn a_stuck_holder_is_told_of_once() {
    let env = TestEnv::new().with_hook(TELL);
    for _ in 0..2 {
        let mut holder = env.subject(&["hold"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let pid = holder.id();
        wait_for("the holder", || env.log_text().contains(&format!("run started: pid {pid},")));
        wait_for("the lock's record", || fs::read_to_string(env.lock()).unwrap().contains(&format!("pid={pid}\n")));
        std::thread::sleep(Duration::from_millis(5));
        let record = fs::read(env.lock()).unwrap();
        for _ in 0..3 {
            assert_eq!(env.run(&["find_stuck"]).status.code(), Some(75));
        }
        assert_eq!(fs::read(env.lock()).unwrap(), record, "a loser changes nothing");
        let told = env.told(pid);
        assert_eq!((&*told["GUARD_STATE"], &*told["GUARD_EXIT_CODE"]), ("stuck", "75"));
        assert_eq!(told["GUARD_LOCK"], env.lock().display().to_string());
        assert!(told["GUARD_DETAIL"].contains(&format!("is held by pid {pid}")), "{told:?}");
        assert!(told["GUARD_SECONDS"].parse::<f64>().unwrap() > 0.0 && told["GUARD_STARTED"].starts_with("20"));
        drop(holder.stdin.take());
        holder.wait().unwrap();
    }
    assert_eq!(env.log_text().matches("[HOOK ] told\n").count(), 2, "once for each: {}", env.log_text());
}

#[test]
fn a_command_for_a_stuck_holder_that_fails() {
    let env = TestEnv::new().with_hook("echo one; printf two; exit 3");
    let mut holder = env.holder();
    assert_eq!(env.run(&["find_stuck"]).status.code(), Some(75));
    let log = env.log_text();
    for line in ["[HOOK ] one\n", "[HOOK ] two\n", "on_end: the command ended with exit status: 3\n"] {
        assert_eq!(log.matches(line).count(), 1, "{line}: {log}");
    }
    drop(holder.stdin.take());
    holder.wait().unwrap();
}

/// With no argument at all: the lock's record says it.
#[test]
fn the_missing_closing_line_is_written_by_the_next_run() {
    let env = TestEnv::new();
    let holder = env.holder();
    let pid = holder.id();
    kill_with_helpers(holder);
    let record = fs::read_to_string(env.lock()).unwrap();
    let started = record.lines().find_map(|line| line.strip_prefix("started=")).unwrap().to_owned();
    for _ in 0..2 {
        assert_eq!(env.run(&["fail"]).status.code(), Some(1));
    }
    let log = env.log_text();
    let line = format!("[ERROR] guard_runtime: run of pid {pid}, started {started}, ended without a trace\n");
    assert_eq!(log.matches(&line).count(), 1, "{log}");
    let (before, behind) = log.split_once(&line).unwrap();
    // Not the same hour: it may be over meanwhile.
    let next = behind.lines().next().unwrap();
    assert!(before.matches("run started").count() == 1 && log_line::stamp(next) > &*started, "{log}");
    assert!(log_line::text(next).unwrap().starts_with("guard_runtime: run started"), "{log}");
}

/// A run that cannot begin does not use up what is known of the one before.
#[test]
fn a_failing_start_leaves_it_to_a_later_run() {
    let env = TestEnv::new();
    let holder = env.holder();
    let pid = holder.id();
    kill_with_helpers(holder);
    let aside = env.path("aside.log");
    fs::rename(env.log(), &aside).unwrap();
    fs::create_dir(env.log()).unwrap();
    assert_eq!(env.run(&["fail"]).status.code(), Some(73), "the log is a directory");
    fs::remove_dir(env.log()).unwrap();
    fs::rename(&aside, env.log()).unwrap();
    for _ in 0..2 {
        assert_eq!(env.run(&["fail"]).status.code(), Some(1));
    }
    let log = env.log_text();
    let told = log.lines().filter(|line| line.contains(&format!("run of pid {pid}, started")));
    assert_eq!(told.filter(|line| line.ends_with("ended without a trace")).count(), 1, "{log}");
}

/// A helper is left, and writes it: however quick the next run is, it says nothing of its own.
#[test]
#[cfg_attr(guard_portable, ignore = "no exit status is told there")]
fn a_run_that_was_killed_alone_is_not_said_to_be_lost() {
    repeat(20, |_| {
        let env = TestEnv::new();
        let mut holder = env.holder();
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert_eq!(env.run(&["fail"]).status.code(), Some(1));
        let has = |line| env.log_text().contains(line);
        wait_for("both closing lines", || has("disk on fire") && has("killed by SIGKILL"));
        let log = env.log_text();
        assert!(!log.contains("without a trace") && log.matches("killed by SIGKILL").count() == 1, "{log}");
    });
}

/// Its helpers live, but are late.
#[test]
#[cfg_attr(guard_portable, ignore = "no exit status is told there")]
fn a_late_helper_is_waited_for_a_second_and_not_said_to_be_lost() {
    let env = TestEnv::new();
    let mut holder = env.holder();
    let both = [helper(holder.id(), COLLECTOR), helper(holder.id(), STANDBY)];
    assert!(both.iter().all(|pid| kill(*pid, libc::SIGSTOP)));
    holder.kill().unwrap();
    holder.wait().unwrap();
    let start = Instant::now();
    assert_eq!(env.run(&["fail"]).status.code(), Some(1));
    assert!((1..20).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert!(both.iter().all(|pid| kill(*pid, libc::SIGCONT)));
    wait_for("the late line", || env.log_text().contains("killed by SIGKILL"));
    assert!(!env.log_text().contains("without a trace"), "{}", env.log_text());
    // Nothing of it is in the record of a run that came later.
    assert_eq!(fs::read_to_string(env.lock()).unwrap(), "");
}

#[test]
fn a_run_that_vanished_with_its_helpers_is_told_of_by_the_next() {
    let env = TestEnv::new().with_hook(TELL);
    assert!(env.run(&["end_told", "well"]).status.success());
    let child = env.subject(&["end_told", "wait"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    wait_for("the run", || env.status()["pid"] == pid && env.sample("running") == Some(1.0));
    kill_with_helpers(child);
    let started = env.status()["started"].as_str().unwrap().to_owned();
    assert!(env.run(&["end_told", "exit_0"]).status.success());
    assert!(started.starts_with("20"));
    let expected = format!("[ERROR] guard_runtime: run of pid {pid}, started ");
    assert_eq!(env.log_text().matches(&expected).count(), 1, "{}", env.log_text());
    assert_eq!((&env.status()["state"], &env.status()["failures_in_a_row"]), (&json!("succeeded"), &json!(0)));

    // The record is gone, as /run/lock is after a restart: the status file says it.
    let child = env.subject(&["end_told", "wait"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let pid = child.id();
    wait_for("the run", || env.status()["pid"] == pid);
    kill_with_helpers(child);
    fs::remove_file(env.lock()).unwrap();
    assert_eq!(env.run(&["end_told", "exit_3"]).status.code(), Some(3));
    let expected = format!("[ERROR] guard_runtime: run of pid {pid}, started ");
    assert_eq!(env.log_text().matches(&expected).count(), 1, "{}", env.log_text());
    assert_eq!(env.status()["failures_in_a_row"], 2);
}

#[test]
fn the_lock_is_free_before_the_command_starts_and_the_run_waits_for_it() {
    let env = TestEnv::new().with_hook("flock -n $GUARD_LOCK echo free; sleep 0.3; echo told > $SUBJECT_DIR/end");
    for how in ["well", "error", "panic", "exit_3"] {
        let _ = fs::remove_file(env.path("end"));
        env.run(&["end_told", how]);
        assert!(env.path("end").exists(), "{how}: the run has waited");
    }
    assert_eq!(env.log_text().matches("[HOOK ] free\n").count(), 4, "{}", env.log_text());
}

#[test]
fn commands_that_go_wrong_are_told_once_and_change_nothing() {
    for (script, line) in [
        ("exit 7", "on_end: the command exit code 7"),
        ("/no/such/program", "on_end: the command exit code 127"),
        ("kill -KILL $$", "on_end: the command killed by SIGKILL"),
        ("head -c 30000000 /dev/zero | tr '\\0' x; exit 1", "on_end: the command exit code 1"),
        ("printf 'no newline'; exit 1", "[HOOK ] no newline\n"),
    ] {
        let env = TestEnv::new().with_hook(script);
        let output = env.run(&["end_told", "exit_3"]);
        assert_eq!(output.status.code(), Some(3), "{script}");
        let log = env.log_text();
        assert_eq!(log.matches(line).count(), 1, "{script}: {}", &log[log.len().saturating_sub(600)..]);
        assert_eq!(log.matches("on_end: ").count(), 1, "{script}");
        assert_eq!(text(&output.stdout), "about to end: exit_3\n", "{script}");
    }
}

/// What it leaves in the background does not hold the run up.
#[test]
fn a_command_that_leaves_something_behind() {
    let script = "(while [ ! -e $SUBJECT_DIR/go ]; do sleep 0.01; done; echo late) & echo early";
    let env = TestEnv::new().with_hook(script);
    assert!(env.run(&["end_told", "well"]).status.success());
    env.go();
    wait_for("what it left", || env.log_text().contains("[HOOK ] late\n"));
    assert!(env.log_text().contains("[HOOK ] early\n"));
}

#[test]
#[ignore = "half a minute"]
fn a_command_that_never_ends_is_ended_with_its_children() {
    let env = TestEnv::new().with_hook("setsid sleep 4711 & sleep 4711");
    let start = Instant::now();
    assert_eq!(env.run(&["end_told", "exit_3"]).status.code(), Some(3));
    assert!((29..45).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    let log = env.log_text();
    assert_eq!(log.matches("on_end: the command took longer than 30 s: killed by SIGKILL").count(), 1, "{log}");
    let sleeps = Command::new("pgrep").args(["-fx", "sleep 4711"]).output().unwrap();
    assert!(sleeps.stdout.is_empty(), "{}", text(&sleeps.stdout));
}

#[test]
fn files_that_cannot_be_used_end_the_run_before_it_starts() {
    let env = TestEnv::new().with_hook(TELL);
    let refused = |why: &str| {
        let output = env.run(&["end_told", "well"]);
        assert_eq!(output.status.code(), Some(73), "{why}");
        let said = text(&output.stderr);
        assert!(said.contains(why) && said.contains("cannot use the status file"), "{said}");
        assert!(output.stdout.is_empty());
    };
    fs::create_dir(env.status_path()).unwrap();
    refused("is a directory, not a regular file");
    fs::remove_dir(env.status_path()).unwrap();
    std::os::unix::fs::symlink("elsewhere", env.status_path()).unwrap();
    refused("is a symbolic link, not a regular file");
    fs::remove_file(env.status_path()).unwrap();
    assert!(Command::new("mkfifo").arg(env.status_path()).status().unwrap().success());
    refused("is a FIFO, not a regular file");
}

/// Each is told once in the log, none ends the run or changes its exit code.
#[test]
fn files_that_go_bad_meanwhile() {
    let env = TestEnv::new().with_hook("true");
    fs::write(env.status_path(), "{\"version\": 1, \"sta").unwrap();
    let mut child = env.subject(&["end_told", "wait"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    wait_for("the metrics", || env.metrics_path().exists());
    fs::rename(env.path("metrics"), env.path("elsewhere")).unwrap();
    fs::remove_dir_all(env.path("elsewhere")).unwrap();
    fs::remove_file(env.status_path()).unwrap();
    fs::create_dir(env.status_path()).unwrap();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let log = env.log_text();
    assert_eq!(
        log.matches("status.json cannot be read back: it is not a file that this program wrote").count(),
        1,
        "{log}"
    );
    assert_eq!(log.matches("metrics/run.prom cannot be written (os error 2)").count(), 1, "{log}");
    assert_eq!(log.matches("status.json cannot be written (os error 21)").count(), 1, "{log}");
}

/// As in a sandbox, or before Linux 6.15: the ioctl that tells of a reaped process is refused.
#[test]
fn where_the_kernel_does_not_tell_the_words_are_the_old_ones() {
    let env = TestEnv::new().with_hook(TELL);
    let mut child = env.subject(&["end_told", "SIGKILL"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    wait_for("the metrics", || env.metrics_path().exists());
    let both = helpers(child.id());
    let collector = both.iter().find(|(_, name)| name == COLLECTOR).unwrap().0;
    let mut tracer = support::strace(collector, "ioctl:error=ENOTTY");
    kill(collector, libc::SIGSTOP);
    kill(child.id(), libc::SIGKILL);
    child.wait().unwrap();
    kill(collector, libc::SIGCONT);
    let told = env.told(child.id());
    assert!(env.closing_line().ends_with("s: killed or aborted"), "{}", env.closing_line());
    assert_eq!((&*told["GUARD_STATE"], &*told["GUARD_SIGNAL"], &*told["GUARD_EXIT_CODE"]), ("killed", "", "1"));
    assert!(env.status()["signal"].is_null());
    let _ = tracer.wait();
}

#[test]
#[ignore = "root: a control group with little memory"]
fn out_of_memory_is_told() {
    let version_2 = PathBuf::from("/sys/fs/cgroup/cgroup.controllers").exists();
    let base = if version_2 { "/sys/fs/cgroup" } else { "/sys/fs/cgroup/memory" };
    let group = PathBuf::from(base).join(format!("guard-test-{}", std::process::id()));
    fs::create_dir(&group).unwrap();
    let limit = if version_2 { "memory.max" } else { "memory.limit_in_bytes" };
    fs::write(group.join(limit), "60000000").unwrap();
    let _ = fs::write(group.join("memory.swap.max"), "0");
    let env = TestEnv::new().with_hook(TELL);
    let mut command = env.subject(&["end_told", "memory"]);
    let procs = std::ffi::CString::new(group.join("cgroup.procs").to_str().unwrap()).unwrap();
    // SAFETY: system calls.
    #[allow(unsafe_code)]
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(&mut command, move || {
            let file = libc::open(procs.as_ptr(), libc::O_WRONLY);
            libc::write(file, c"0".as_ptr().cast(), 1);
            libc::close(file);
            Ok(())
        });
    }
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(status.signal(), Some(libc::SIGKILL));
    let told = env.told(child.id());
    let closing = env.closing_line();
    assert!(closing.ends_with("s: killed by SIGKILL; the kernel was out of memory (oom_kill)"), "{closing}");
    assert_eq!(told["GUARD_DETAIL"], "killed by SIGKILL; the kernel was out of memory (oom_kill)");
    wait_for("the group to be empty", || fs::remove_dir(&group).is_ok());
}
