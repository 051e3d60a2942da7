//! Lines of logs, and the runs they tell of.

use super::*;
use crate::files::{of_status, read};

/// The runs that lines tell of, each `TIME [TAG  ] TEXT`, in short.
fn told(lines: &[&str]) -> Vec<String> {
    let mut history = History::default();
    for line in lines {
        let (time, rest) = line.split_once(' ').unwrap();
        let _ = history.line(&format!("2026-11-28T{time}.000000Z {rest}"));
    }
    let short = |run: &Run| {
        let took = run.seconds.map_or("-".to_owned(), |seconds| format!("{seconds:.1}"));
        format!("{} {} {:?} {took} {}", run.begun.format("%T"), run.job(), run.how, run.why).trim_end().to_owned()
    };
    history.runs.iter().map(short).collect()
}

const STARTED: &str = "03:00:00 [INFO ] guard_runtime: run started: pid 7, lock /l/a.lock";

#[test]
fn each_end_has_its_words() {
    for (end, expected) in [
        ("finished in 9.000s (1.0s processor, 4.2 MB)", "Finished 9.0"),
        ("failed in 9.000s (1.0s processor, 4.2 MB): \"no: 3s\"", "Failed 9.0 \"no: 3s\""),
        ("failed in 9.000s", "Failed 9.0"),
        ("panicked in 9.000s (1.0s processor, 4.2 MB)", "Failed 9.0 panicked"),
        ("dropped after 9.000s: its future was dropped", "Failed 9.0 its future was dropped"),
        ("ended by process::exit(3) after 9.000s", "Failed 9.0 process::exit(3)"),
        ("ended by process::exit(0) after 9.000s", "Finished 9.0 process::exit(0)"),
        ("ended by process::exit after 9.000s", "Lost 9.0 process::exit"),
        ("ended without finishing after 9.000s: killed by SIGKILL", "Killed 9.0 killed by SIGKILL"),
        ("ended without finishing after 9.000s: exit code 3", "Failed 9.0 exit code 3"),
        ("ended without finishing after 9.000s: exit code 0", "Finished 9.0 exit code 0"),
        ("timed out after 7s: ended by SIGTERM", "Killed 9.0 timed out after 7s: ended by SIGTERM"),
        (
            "timed out after 7s: then the run failed in 9.000s: no",
            "Killed 9.0 timed out after 7s: then the run failed in 9.000s: no",
        ),
    ] {
        let line = format!("03:00:09 [ERROR] guard_runtime: run {end}");
        assert_eq!(told(&[STARTED, &line]), [format!("03:00:00 a {expected}")], "{end}");
    }
}

/// Where the helpers of a container are killed just after they have written the end.
#[test]
fn both_an_end_and_none_are_one_run() {
    let killed = "03:00:09 [ERROR] guard_runtime: run ended without finishing after 9.000s: killed by SIGKILL";
    let lost =
        "03:30:00 [ERROR] guard_runtime: run of pid 7, started 2026-11-28T03:00:00.000000Z, ended without a trace";
    assert_eq!(told(&[STARTED, killed, lost]), ["03:00:00 a Killed 9.0 killed by SIGKILL"]);
}

#[test]
fn a_shared_log_has_runs_of_several_programs() {
    let lines = [
        STARTED,
        "03:00:05 [INFO ] guard_runtime: run started: pid 8, lock /l/b.lock; no logger installed (logger = false)",
        "03:00:06 [WARN ] guard_runtime: run skipped: /l/a.lock is held by pid 7 (a), started x, 6.000s ago",
        "03:00:20 [INFO ] guard_runtime: run finished in 20.000s",
        "03:00:21 [ERROR] guard_runtime: run failed in 16.000s: no",
    ];
    let skipped = "03:00:06 a Skipped - held by pid 7 for 6.0s";
    assert_eq!(told(&lines), ["03:00:00 a Finished 20.0", "03:00:05 b Failed 16.0 no", skipped]);
    assert_eq!(told(&lines[..2]), ["03:00:00 a Open -", "03:00:05 b Open -"]);
}

#[test]
fn a_run_without_start_or_end_in_the_log() {
    let rotated = ["03:00:08 [OUT  ] x", STARTED, "03:00:09 [INFO ] guard_runtime: run finished in 99.000s"];
    assert_eq!(told(&rotated), ["03:00:00 a Open -", "02:58:30 ? Finished 99.0"]);
    let lost = "04:00:00 [ERROR] guard_runtime: run of pid 7, started 2026-11-28T02:59:59Z, ended without a trace";
    assert_eq!(told(&[STARTED, lost]), ["03:00:00 a Lost - ended without a trace"]);
    assert_eq!(told(&[lost]), ["02:59:59 ? Lost - ended without a trace"]);
    assert_eq!(
        told(&[STARTED, &STARTED.replace("03:", "04:").replace('7', "9")])[0],
        "03:00:00 a Lost - its end is not in the log"
    );
}

#[test]
fn a_skip_by_the_cluster_lock_is_one_of_that_job() {
    let start = format!("{STARTED}, cluster lock `n` (PostgreSQL at db)");
    let end = "03:00:09 [INFO ] guard_runtime: run finished in 9.000s";
    let skip = "04:00:00 [WARN ] guard_runtime: run skipped: the cluster lock `n` (PostgreSQL at db) is held by `m`";
    assert_eq!(told(&[&start, end, skip])[1], "04:00:00 a Skipped - held by `m`");
}

#[test]
fn lines_that_only_look_like_ours() {
    let lines = [
        "03:00:00 [OUT  ] guard_runtime: run started: pid 7, lock a.lock",
        "03:00:00 [ERR +] guard_runtime: run finished in 9.000s",
        "03:00:00 [INFO ] nightly: run finished in 9.000s",
        "03:00:00 [INFO ] nightly: ] guard_runtime: run finished in 9.000s",
        "03:00:00 [INFO ] guard_runtime: run finished in a moment",
        "03:00:00 [INFO ] guard_runtime: run finished in 1e300s",
        "03:00:00 [INFO ] guard_runtime: run finished in NaNs",
        "03:00:00 [WARN ] guard_runtime: the run takes longer than its timeout of 7s: SIGTERM",
    ];
    assert_eq!(told(&lines), [""; 0]);
    let mut history = History::default();
    assert_eq!(history.line("    guard_runtime: run finished in 9.000s"), None);
    assert_eq!(history.line("é"), None);
}

#[test]
fn a_status_file_tells_of_two_runs() {
    let json = r#"{"state": "killed", "started": "2026-11-28T03:00:00Z", "seconds": 9.5, "detail": "killed by SIGKILL",
        "pid": 7, "lock": "/l/a.lock", "last_success":
        {"started": "2026-11-27T03:00:00Z", "ended": "2026-11-27T03:00:08Z"}}"#;
    let runs = of_status(&serde_json::from_str(json).unwrap()).unwrap();
    let of = |run: &Run| (run.job(), run.how, run.seconds);
    assert_eq!(of(&runs[0]), ("a".to_owned(), How::Killed, Some(9.5)));
    assert_eq!(of(&runs[1]), ("a".to_owned(), How::Finished, Some(8.0)));
}

#[test]
fn a_run_begins_in_a_backup_and_ends_in_the_log() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("a.log");
    let line = |text: &str| format!("2026-11-28T{text}\n").replacen(' ', ".000000Z ", 1);
    let end = line("03:00:09 [INFO ] guard_runtime: run finished in 9.000s");
    let rotated = line("02:00:00 [INFO ] guard_runtime: run finished in 9.000s");
    let torn = "2026-11-28T03:00:10.000000Z [INFO ] guard_runtime: run started: pid 9, lock /l/a.lo";
    std::fs::write(directory.path().join("a.log.2"), rotated + &line(STARTED)).unwrap();
    std::fs::write(directory.path().join("a.log.1"), b"\xff\n").unwrap();
    std::fs::write(&log, end + torn).unwrap();
    let runs = read(&log).unwrap();
    let of = |run: &Run| (run.begun.format("%T").to_string(), run.job(), run.how, run.seconds);
    let expected = ["01:59:51", "03:00:00"].map(|begun| (begun.to_owned(), "a".to_owned(), How::Finished, Some(9.0)));
    assert_eq!(runs.iter().map(of).collect::<Vec<_>>(), expected);
}
