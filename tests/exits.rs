//! A run that ends in an unusual place: in a signal handler, under a lock of its own, by another program, by `_exit`.
#![allow(missing_docs)]
#![allow(unsafe_code, reason = "limits are system calls")]

mod support;

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use support::{TestEnv, before_exec, is_root, kill, log_line, strace, text, wait_for};

/// A process that hangs is ended, so that the test fails in seconds.
fn ends_within(child: &mut Child, limit: Duration) -> ExitStatus {
    let start = Instant::now();
    while start.elapsed() < limit {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("it hangs");
}

/// The handler interrupts its own thread in the middle of a record, again and again until one is hit for sure.
#[test]
fn exit_in_a_signal_handler_amid_records() {
    exits_amid_records(10);
}

/// One in some thousand hits a place in memory that is half written.
#[test]
#[ignore = "takes a minute"]
fn many_exits_in_a_signal_handler_amid_records() {
    exits_amid_records(6_000);
}

fn exits_amid_records(times: usize) {
    for _ in 0..times {
        let env = TestEnv::new();
        let mut child = env.subject(&["exit_in_handler_amid_records"]).stderr(Stdio::null()).spawn().unwrap();
        wait_for("records", || env.log_text().contains("] subject::exits: record 100\n"));
        assert!(kill(child.id(), libc::SIGTERM));
        assert_eq!(ends_within(&mut child, Duration::from_secs(20)).code(), Some(3));
        assert!(!env.is_locked());
        assert!(env.closing_line().contains("run ended by process::exit"));
    }
}

/// The handler interrupts its own thread in the middle of the end of the run.
#[test]
fn exit_in_a_signal_handler_amid_the_end() {
    let env = TestEnv::new();
    let (unread, console) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut command = env.subject(&["exit_in_handler_amid_the_end", "15000"]);
    let mut child = command.stdout(std::os::fd::OwnedFd::from(console)).stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    assert!(env.closing_line().contains("run finished in"));
    assert_eq!(child.try_wait().unwrap(), None, "the console does not have it all");
    assert!(kill(child.id(), libc::SIGTERM));
    assert_eq!(ends_within(&mut child, Duration::from_secs(20)).code(), Some(3));
    assert!(!env.is_locked());
    assert!(env.closing_line().contains("run finished in"), "one closing line");
    drop(unread);
}

/// The handler interrupts its own thread in the middle of a `println!`, where standard output is borrowed.
#[test]
fn exit_in_a_signal_handler_amid_printed_lines() {
    for _ in 0..10 {
        let env = TestEnv::new();
        let mut child = env.subject(&["exit_in_handler_amid_lines"]).stdout(Stdio::null()).spawn().unwrap();
        wait_for("lines", || env.log_text().contains("] printed 100\n"));
        assert!(kill(child.id(), libc::SIGTERM));
        assert_eq!(ends_within(&mut child, Duration::from_secs(20)).code(), Some(3));
        assert!(!env.is_locked());
        assert!(env.closing_line().contains("run ended by process::exit"));
    }
}

/// This thread holds standard output, and another one is idle: nobody need be waited for.
#[test]
fn exit_under_ones_own_lock_of_stdout() {
    let seconds = |_| {
        let env = TestEnv::new();
        let start = Instant::now();
        assert_eq!(env.run(&["exit_under_own_lock"]).status.code(), Some(6));
        assert_eq!(env.entries(), ["whole", "unfinished"]);
        start.elapsed().as_secs_f64()
    };
    // The machine may be busy: once of several times is enough.
    let quickest = (0..5).map(seconds).fold(f64::MAX, f64::min);
    assert!(quickest < 0.8, "{quickest} s");
}

#[test]
#[cfg_attr(guard_portable, ignore = "how many threads there are is not told there")]
fn finished_under_ones_own_lock_of_stdout() {
    let env = TestEnv::new();
    let output = env.run(&["finish_under_own_lock"]);
    assert!(output.status.success());
    assert_eq!(env.entries(), ["whole", "unfinished"]);
    assert_eq!(text(&output.stdout), "whole\nunfinished");
}

/// No thread may be started to look whether somebody else holds standard output.
#[test]
fn the_end_where_no_thread_may_be_started() {
    if !is_root() {
        return println!("not shown: takes a user of no other processes");
    }
    for mode in ["unfinished_without_threads", "exit_without_threads"] {
        let env = TestEnv::new();
        let output = env.subject_of_user(64_997, &[mode]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert_eq!(env.entries(), ["whole", "unfinished"], "{mode}");
    }
}

/// Nothing says that it failed, so neither does the log.
#[test]
#[cfg_attr(guard_portable, ignore = "no exit status is told there")]
fn ends_that_are_no_failures() {
    for mode in ["exec", "underscore_exit", "daemonize", "close_from_and_return"] {
        let env = TestEnv::new();
        let output = env.run(&[mode]);
        assert_eq!(output.status.code(), Some(0), "{mode}: {}", text(&output.stderr));
        let line = env.closing_line();
        assert!(log_line::tag(&line) != "[ERROR]" && !line.contains("kill"), "{mode}: {line}");
        assert!(env.entries().iter().any(|entry| entry == "before"), "{mode}: {}", env.log_text());
    }
    let env = TestEnv::new();
    assert_eq!(env.run(&["underscore_exit", "9"]).status.code(), Some(9));
    let line = env.closing_line();
    assert!(log_line::tag(&line) == "[ERROR]" && line.contains('9') && !line.contains("kill"), "{line}");
}

/// A thread starts a run while another one ends the process.
#[test]
fn exit_beside_the_start_of_a_run() {
    let mut closed = 0;
    for microseconds in (0..10_000).step_by(50) {
        let (env, start) = (TestEnv::new(), Instant::now());
        let status = env.run(&["exit_beside_a_start", &microseconds.to_string()]).status;
        assert_eq!((status.code(), status.signal()), (Some(0), None));
        // An end waits for a start for a second.
        if start.elapsed() < Duration::from_secs(1) && env.log().exists() && env.log_text().contains("run started") {
            closed += 1;
            let line = env.closing_line();
            assert!(line.contains("run ended by process::exit"), "after {microseconds} us: {line}");
        }
    }
    println!("{closed} of 200 runs had started");
    assert!(closed > 0);
}

/// The collector is killed as it tells its standby that the closing line stands in the log.
#[test]
#[ignore = "needs strace"]
fn one_closing_line_though_the_collector_is_killed_over_it() {
    for nth in 1..6 {
        let env = TestEnv::new();
        let mut holder = env.holder();
        let collector = support::helper(holder.id(), support::COLLECTOR);
        let mut strace = strace(collector, &format!("write:signal=KILL:when={nth}"));
        drop(holder.stdin.take());
        assert!(holder.wait().unwrap().success());
        // At the last of its writes it is not killed any more.
        let _ = strace.kill();
        strace.wait().unwrap();
        let log = env.log_text();
        let lines: Vec<&str> = log.lines().filter(|line| log_line::is_closing(line)).collect();
        assert_eq!(lines.len(), 1, "killed at write {nth}: {lines:?}");
    }
}

/// Limits of a job: processor time, size of a file. The system lets no process but root's raise the second of each.
fn limit_softly() {
    for (resource, soft, hard) in [(libc::RLIMIT_CPU, 2, 3600), (libc::RLIMIT_FSIZE, 10_000_000, 1 << 40)] {
        let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
        // SAFETY: a limit of this process's own.
        assert_eq!(unsafe { libc::setrlimit(resource, &raw const limit) }, 0);
    }
}

/// A limit on the job's processor time or files is not one on its helpers', where they may raise it.
#[test]
fn the_helpers_outlast_limits_of_the_job() {
    let env = TestEnv::new();
    let mut command = env.subject(&["hold"]);
    let command = before_exec(command.stdin(Stdio::piped()).stdout(Stdio::null()), limit_softly);
    let mut child = command.spawn().unwrap();
    wait_for("both helpers", || support::helpers(child.id()).len() == 2);
    for (helper, name) in support::helpers(child.id()) {
        let is_unlimited = || {
            let limits = std::fs::read_to_string(format!("/proc/{helper}/limits")).unwrap();
            let soft = |name| limits.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
            // Where the tests are root's, none at all.
            matches!(soft("Max cpu time"), Some("3600" | "unlimited"))
                && matches!(soft("Max file size"), Some("1099511627776" | "unlimited"))
        };
        wait_for(&format!("{name} to be free of the limit"), is_unlimited);
    }
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}
