//! What stands in the log, in which order, and how it rotates.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::process::{Command, Stdio};

use support::{COLLECTOR, TestEnv, helper, kill, log_line, merge_stderr, state, text, wait_for};

/// The numbers of `mixed`, as they stand in lines that contain `n NUMBER`.
fn numbers<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<u64> {
    lines.filter_map(|line| line.rsplit_once("n ")?.1.parse().ok()).collect()
}

#[test]
fn printed_lines_records_and_children_in_exact_order() {
    let env = TestEnv::new();
    let mut command = env.subject(&["mixed", "20000", "x"]);
    let output = command.stderr(Stdio::null()).output().unwrap();
    assert!(output.status.success());
    let expected: Vec<u64> = (1..=40_020).collect();
    let log = env.log_text();
    assert_eq!(numbers(log.lines()), expected);
    assert_eq!(log.matches("[INFO ] subject::order: n ").count(), 20_000);
    assert!(!text(&output.stdout).contains("subject::order: n"), "records go to stderr");
    assert_eq!(numbers(text(&output.stdout).lines()).len(), 20_020);
}

#[test]
fn with_stderr_merged_the_order_is_exact_in_the_file_and_on_the_console() {
    let env = TestEnv::new();
    let output = merge_stderr(&mut env.subject(&["mixed_stderr", "20000"])).output().unwrap();
    assert!(output.status.success());
    let expected: Vec<u64> = (1..=60_020).collect();
    assert_eq!(numbers(env.log_text().lines()), expected);
    assert_eq!(numbers(text(&output.stdout).lines()), expected);
}

#[test]
fn apart_each_stream_is_in_order() {
    let env = TestEnv::new();
    let output = env.run(&["mixed_stderr", "5000"]);
    let log = env.log_text();
    let of = |tag: &str| numbers(log.lines().filter(|line| log_line::tag(line) == tag));
    for tag in ["[OUT  ]", "[ERR  ]"] {
        assert!(of(tag).is_sorted() && of(tag).len() >= 5000, "{tag}");
    }
    let mut all = numbers(log.lines());
    all.sort_unstable();
    assert_eq!(all, (1..=15_005).collect::<Vec<_>>());
    let on_stdout = numbers(text(&output.stdout).lines());
    assert_eq!(on_stdout, of("[OUT  ]"), "the console's stdout has what was printed there");
}

#[test]
fn stamps_never_run_backwards_and_every_line_has_one() {
    let env = TestEnv::new();
    env.run(&["mixed_stderr", "3000"]);
    let log = env.log_text();
    let stamps: Vec<&str> = log.lines().map(log_line::stamp).collect();
    assert!(stamps.iter().all(|stamp| stamp.starts_with("20") && stamp.ends_with('Z')));
    assert!(stamps.is_sorted());
}

/// The collector is stopped while records are made: each has the time at which it was made, and what is printed before a
/// record no later one.
#[test]
fn a_stamp_is_the_moment_of_the_record() {
    let env = TestEnv::new();
    let now = || text(&Command::new("date").args(["-u", "+%FT%T.%6NZ"]).output().unwrap().stdout).trim().to_owned();
    let before = now();
    let mut command = env.subject(&["few_records", "200"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let collector = helper(child.id(), COLLECTOR);
    wait_for("a record", || env.log_text().contains("] subject::order: record 0\n"));
    assert!(kill(collector, libc::SIGSTOP));
    wait_for("it to be stopped", || state(collector) == Some('T'));
    env.go();
    wait_for("the last record", || env.path("recorded").exists());
    let after = now();
    assert!(kill(collector, libc::SIGCONT));
    assert!(child.wait().unwrap().success());
    let log = env.log_text();
    let stamps: Vec<&str> =
        log.lines().filter(|line| line.contains("] subject::order: record ")).map(log_line::stamp).collect();
    assert!(stamps.len() == 200 && stamps.iter().all(|stamp| (&*before..=&*after).contains(stamp)), "{after}: {log}");
}

#[test]
fn long_records_are_whole() {
    let env = TestEnv::new();
    assert!(env.run(&["long_records", "700"]).status.success());
    let mut next = [0; 4];
    let mut printed = 0;
    for entry in env.entries() {
        let words: Vec<&str> = entry.trim_start_matches("subject::order: ").split(' ').collect();
        if words[2] == "printed" {
            printed += 1;
            continue;
        }
        let (thread, round): (usize, usize) = (words[0].parse().unwrap(), words[1].parse().unwrap());
        assert_eq!(round, next[thread]);
        next[thread] += 1;
        assert_eq!(words[2].len(), [10, 4030, 4068, 4069, 4096, 9000, 70_000][round % 7]);
        assert!(words[2].bytes().all(|byte| byte == b'r'));
    }
    assert_eq!((next, printed), ([700; 4], 2800));
}

#[test]
fn sixty_megabytes_through_five_times_five() {
    let env = TestEnv::new();
    let lines = 60_000_000 / 90;
    assert!(env.subject(&["flood", &lines.to_string()]).stdout(Stdio::null()).status().unwrap().success());
    let files = env.log_files();
    assert_eq!(files.len(), 6, "the log and five backups");
    for file in &files {
        let bytes = fs::read(file).unwrap();
        assert!(bytes.len() <= 5_000_000, "{} has {}", file.display(), bytes.len());
        assert!(bytes.ends_with(b"\n") && bytes.starts_with(b"20"), "no line is split");
    }
    for full in &files[..5] {
        assert!(fs::metadata(full).unwrap().len() > 4_999_000, "rotated no sooner than need be");
    }
    let numbers: Vec<u64> =
        env.entries().iter().map(|entry| entry.strip_prefix("line ").unwrap()[..8].parse().unwrap()).collect();
    let last = lines - 1;
    assert_eq!(*numbers.last().unwrap(), last);
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "gapless");
    println!("{} lines kept, {} to {last}", numbers.len(), numbers[0]);
}

#[test]
fn a_display_that_logs_or_panics_spoils_nothing() {
    let env = TestEnv::new();
    assert!(env.run(&["display_logs"]).status.success());
    let log = env.log_text();
    for line in [
        "] subject::order: inner\n",
        "] subject::order: outer chatty\n",
        "] subject::order: multi\n    line\n",
        "] subject::order: after\n",
    ] {
        assert!(log.contains(line), "{log}");
    }
    assert!(log.contains("broken Display"), "the panic's message is captured");
}

/// The console gets every byte; the file none that a terminal would not show.
#[test]
fn colours_of_a_record() {
    let env = TestEnv::new();
    let output = env.run(&["coloured_record"]);
    assert!(text(&output.stderr).ends_with("subject::order: \x1b[1mbold\x1b[0m\n    and \x1b[31mred\x1b[0m\n"));
    assert!(env.log_text().contains("[WARN ] subject::order: bold\n    and red\n"), "{}", env.log_text());
}

#[test]
fn a_logger_that_was_there_first_stays() {
    let env = TestEnv::new();
    assert!(env.run(&["own_logger"]).status.success());
    assert_eq!(env.entries(), ["OWN record"]);
    assert!(env.log_text().contains("; the program's own logger was there first and stays"));
}

#[test]
fn without_a_tee_only_records_and_panics_are_logged() {
    let env = TestEnv::new();
    let output = env.run(&["no_tee"]);
    assert_eq!(text(&output.stdout), "printed\n");
    assert_eq!(env.entries(), ["subject::order: loud"]);
    let log = env.log_text();
    assert_eq!(log.matches("unseen").count(), 1, "{log}");
    assert!(log.contains("[ERROR] guard_runtime: thread '<unnamed>' panicked at "), "{log}");
    assert!(text(&output.stderr).contains("unseen") && text(&output.stderr).contains("[WARN ] subject::order: loud"));
    for (asked_for, is_there) in [("0", false), ("1", true)] {
        let env = TestEnv::new();
        env.subject(&["no_tee"]).env("RUST_BACKTRACE", asked_for).output().unwrap();
        assert_eq!(env.log_text().contains("    stack backtrace:\n"), is_there);
    }
}

/// What is printed to standard error goes past us, a panic too: its record is in the file alone, once.
#[test]
fn with_a_tee_of_standard_output_alone() {
    let env = TestEnv::new();
    let output = env.run(&["tee_stdout"]);
    assert_eq!(text(&output.stdout), "printed\n");
    assert_eq!(env.entries(), ["printed", "subject::order: loud"]);
    let log = env.log_text();
    assert!(log.contains("[OUT  ] printed\n") && !log.contains("[ERR  ]"), "{log}");
    assert_eq!((log.matches("unseen").count(), text(&output.stderr).matches("unseen").count()), (1, 1), "{log}");
    assert!(text(&output.stderr).contains("printed elsewhere\n"));
}

/// And `console_level` chooses among the records that it lets through.
#[test]
fn rust_log_replaces_the_level() {
    let env = TestEnv::new();
    let output = env.subject(&["no_tee"]).env("RUST_LOG", "info,wrong=loud").output().unwrap();
    assert_eq!(env.entries(), ["subject::order: quiet", "subject::order: loud"]);
    let shown = text(&output.stderr);
    assert!(shown.contains("] subject::order: loud\n") && !shown.contains("quiet"), "{shown}");
    assert_eq!(env.log_text().matches("RUST_LOG: cannot read `wrong=loud`; the rest of it counts").count(), 1);
    let env = TestEnv::new();
    env.subject(&["no_tee"]).env("RUST_LOG", "debug,subject=warn").output().unwrap();
    assert_eq!(env.entries(), ["subject::order: loud"], "each module has its own level");
}
