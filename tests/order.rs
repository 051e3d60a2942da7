//! What stands in the log, in which order, and how it rotates.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::process::{Command, Stdio};

use support::{Place, helper, kill, merge_stderr, text, wait_for};

/// The numbers of `mixed`, as they stand in lines that contain `n NUMBER`.
fn numbers<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<u64> {
    lines.filter_map(|line| line.rsplit_once("n ")?.1.parse().ok()).collect()
}

#[test]
fn printed_lines_records_and_children_in_exact_order() {
    let place = Place::new();
    let mut command = place.subject(&["mixed", "20000", "x"]);
    let output = command.stderr(Stdio::null()).output().unwrap();
    assert!(output.status.success());
    let expected: Vec<u64> = (1..=40_020).collect();
    let log = place.log_text();
    assert_eq!(numbers(log.lines()), expected);
    assert_eq!(log.matches("[INFO ] subject: n ").count(), 20_000);
    assert!(!text(&output.stdout).contains("subject: n"), "records go to stderr");
    assert_eq!(numbers(text(&output.stdout).lines()).len(), 20_020);
}

#[test]
fn with_stderr_merged_the_order_is_exact_in_the_file_and_on_the_console() {
    let place = Place::new();
    let output = merge_stderr(&mut place.subject(&["mixed_stderr", "20000"])).output().unwrap();
    assert!(output.status.success());
    let expected: Vec<u64> = (1..=60_020).collect();
    assert_eq!(numbers(place.log_text().lines()), expected);
    assert_eq!(numbers(text(&output.stdout).lines()), expected);
}

#[test]
fn apart_each_stream_is_in_order() {
    let place = Place::new();
    let output = place.run(&["mixed_stderr", "5000"]);
    let log = place.log_text();
    let of = |tag: &str| numbers(log.lines().filter(|line| line[27..].starts_with(tag)));
    for tag in [" [OUT  ]", " [ERR  ]"] {
        assert!(of(tag).is_sorted() && of(tag).len() >= 5000, "{tag}");
    }
    let mut all = numbers(log.lines());
    all.sort_unstable();
    assert_eq!(all, (1..=15_005).collect::<Vec<_>>());
    let on_stdout = numbers(text(&output.stdout).lines());
    assert_eq!(on_stdout, of(" [OUT  ]"), "the console's stdout has what was printed there");
}

#[test]
fn stamps_never_run_backwards_and_every_line_has_one() {
    let place = Place::new();
    place.run(&["mixed_stderr", "3000"]);
    let log = place.log_text();
    let stamps: Vec<&str> = log.lines().map(|line| &line[..27]).collect();
    assert!(stamps.iter().all(|stamp| stamp.starts_with("20") && stamp.ends_with('Z')));
    assert!(stamps.is_sorted());
}

/// The collector is stopped while records are made: each has the time at which it was made, and what is printed before a
/// record no later one.
#[test]
fn a_stamp_is_the_moment_of_the_record() {
    let place = Place::new();
    let now = || text(&Command::new("date").args(["-u", "+%FT%T.%6NZ"]).output().unwrap().stdout).trim().to_owned();
    let before = now();
    let mut command = place.subject(&["few_records", "200"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let collector = helper(child.id(), "guard-collector");
    wait_for("a record", || place.log_text().contains("] subject: record 0\n"));
    assert!(kill(collector, libc::SIGSTOP));
    wait_for("the last record", || place.path("recorded").exists());
    let after = now();
    assert!(kill(collector, libc::SIGCONT));
    assert!(child.wait().unwrap().success());
    let log = place.log_text();
    let stamps: Vec<&str> =
        log.lines().filter(|line| line.contains("] subject: record ")).map(|line| &line[..27]).collect();
    assert!(stamps.len() == 200 && stamps.iter().all(|stamp| (&*before..=&*after).contains(stamp)), "{after}: {log}");
}

#[test]
fn long_records_are_whole() {
    let place = Place::new();
    assert!(place.run(&["long_records", "700"]).status.success());
    let mut next = [0; 4];
    let mut printed = 0;
    for entry in place.entries() {
        let words: Vec<&str> = entry.trim_start_matches("subject: ").split(' ').collect();
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
    let place = Place::new();
    let lines = 60_000_000 / 90;
    assert!(place.subject(&["flood", &lines.to_string()]).stdout(Stdio::null()).status().unwrap().success());
    let files = place.log_files();
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
        place.entries().iter().map(|entry| entry.strip_prefix("line ").unwrap()[..8].parse().unwrap()).collect();
    let last = lines - 1;
    assert_eq!(*numbers.last().unwrap(), last);
    assert!(numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]), "gapless");
    println!("{} lines kept, {} to {last}", numbers.len(), numbers[0]);
}

#[test]
fn a_display_that_logs_or_panics_spoils_nothing() {
    let place = Place::new();
    assert!(place.run(&["display_logs"]).status.success());
    let log = place.log_text();
    for line in
        ["] subject: inner\n", "] subject: outer chatty\n", "] subject: multi\n    line\n", "] subject: after\n"]
    {
        assert!(log.contains(line), "{log}");
    }
    assert!(log.contains("broken Display"), "the panic's message is captured");
}

/// The console gets every byte; the file none that a terminal would not show.
#[test]
fn colours_of_a_record() {
    let place = Place::new();
    let output = place.run(&["coloured_record"]);
    assert!(text(&output.stderr).ends_with("subject: \x1b[1mbold\x1b[0m\n    and \x1b[31mred\x1b[0m\n"));
    assert!(place.log_text().contains("[WARN ] subject: bold\n    and red\n"), "{}", place.log_text());
}

#[test]
fn a_logger_that_was_there_first_stays() {
    let place = Place::new();
    assert!(place.run(&["own_logger"]).status.success());
    assert_eq!(place.entries(), ["OWN record"]);
    assert!(place.log_text().contains("; the program's own logger was there first and stays"));
}

#[test]
fn without_a_tee_only_records_and_panics_are_logged() {
    let place = Place::new();
    let output = place.run(&["no_tee"]);
    assert_eq!(text(&output.stdout), "printed\n");
    assert_eq!(place.entries(), ["subject: loud"]);
    let log = place.log_text();
    assert_eq!(log.matches("unseen").count(), 1, "{log}");
    assert!(log.contains("[ERROR] guard_runtime: thread '<unnamed>' panicked at "), "{log}");
    assert!(text(&output.stderr).contains("unseen") && text(&output.stderr).contains("[WARN ] subject: loud"));
    for (asked_for, is_there) in [("0", false), ("1", true)] {
        let place = Place::new();
        place.subject(&["no_tee"]).env("RUST_BACKTRACE", asked_for).output().unwrap();
        assert_eq!(place.log_text().contains("    stack backtrace:\n"), is_there);
    }
}

/// What is printed to standard error goes past us, a panic too: its record is in the file alone, once.
#[test]
fn with_a_tee_of_standard_output_alone() {
    let place = Place::new();
    let output = place.run(&["tee_stdout"]);
    assert_eq!(text(&output.stdout), "printed\n");
    assert_eq!(place.entries(), ["printed", "subject: loud"]);
    let log = place.log_text();
    assert!(log.contains("[OUT  ] printed\n") && !log.contains("[ERR  ]"), "{log}");
    assert_eq!((log.matches("unseen").count(), text(&output.stderr).matches("unseen").count()), (1, 1), "{log}");
    assert!(text(&output.stderr).contains("printed elsewhere\n"));
}

/// And `console_level` chooses among the records that it lets through.
#[test]
fn rust_log_replaces_the_level() {
    let place = Place::new();
    let output = place.subject(&["no_tee"]).env("RUST_LOG", "info,wrong=loud").output().unwrap();
    assert_eq!(place.entries(), ["subject: quiet", "subject: loud"]);
    let shown = text(&output.stderr);
    assert!(shown.contains("] subject: loud\n") && !shown.contains("quiet"), "{shown}");
    assert_eq!(place.log_text().matches("RUST_LOG: cannot read `wrong=loud`; the rest of it counts").count(), 1);
    let place = Place::new();
    place.subject(&["no_tee"]).env("RUST_LOG", "debug,subject=warn").output().unwrap();
    assert_eq!(place.entries(), ["subject: loud"], "each module has its own level");
}
