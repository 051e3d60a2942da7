//! The console that gets the output only if the run fails, and the one that stalls: neither holds the job up.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use support::{COLLECTOR, TAKEN_OVER, TestEnv, are_gone, helper, helpers, kill, state, text, wait_for};

/// Starts it with both streams in one pipe, as cron does; the reading end.
fn in_one_pipe(mut command: Command) -> (Child, fs::File) {
    let (reader, writer) = std::io::pipe().unwrap();
    let child = command.stdin(Stdio::piped()).stdout(writer.try_clone().unwrap()).stderr(writer).spawn().unwrap();
    (child, fs::File::from(OwnedFd::from(reader)))
}

fn read_all(mut reader: fs::File) -> String {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).unwrap();
    text(&bytes)
}

fn line(number: u64) -> String {
    format!("line {number:08} {}\n", "x".repeat(75))
}

/// What the run printed, and what the language says of its end behind it.
#[test]
#[cfg_attr(guard_portable, ignore = "no exit status is told there")]
fn what_the_console_shows_of_each_end() {
    for (how, signal, shown, behind) in [
        ("well", 0, false, ""),
        ("exit_0", 0, false, ""),
        ("leave_0", 0, false, ""),
        ("error", 0, true, "Error: \"disk on fire\"\n"),
        ("panic", 0, true, "at the disco"),
        ("exit_3", 0, true, ""),
        ("leave_3", 0, true, ""),
        ("abort", 0, true, ""),
        ("segfault", 0, true, ""),
        ("SIGTERM", libc::SIGTERM, true, ""),
        ("SIGKILL", libc::SIGKILL, true, ""),
    ] {
        let env = TestEnv::new();
        let mut command = env.subject(&["end_quiet", how]);
        command.env("RUST_BACKTRACE", "0");
        let (mut child, reader) = in_one_pipe(command);
        wait_for("the run", || env.log_text().contains("child 6"));
        if signal != 0 {
            kill(child.id(), signal);
        }
        // Cron waits for the end of the pipe, and so for the collector.
        let console = read_all(reader);
        child.wait().unwrap();
        // Whatever the language says after the run's end is nobody's to hold back.
        let console = console.strip_suffix("Error: \"disk on fire\"\n").unwrap_or(&console);
        let printed = ["out 1\n", "err 2\n", "out 3\r\x1b[1m", "record 4\n", "child 5\n", "child 6\n"];
        if shown {
            let mut rest = console;
            for part in printed {
                let Some((before, after)) = rest.split_once(part) else { panic!("{how}: {part:?} in {console:?}") };
                assert!(before.is_empty() || part == "record 4\n", "{how}: {before:?} in {console:?}");
                rest = after;
            }
            assert!(behind.is_empty() || how == "error" || rest.contains(behind), "{how}: {rest:?}");
        } else {
            assert_eq!(console, "", "{how}");
        }
        env.closing_line();
        assert!(env.log_text().contains("child 6"), "{how}: the log has it in any case");
    }
}

#[test]
fn an_ordinary_skip_says_nothing_and_a_failing_start_does() {
    let env = TestEnv::new();
    let mut holder = env.holder();
    let output = env.run(&["end_quiet", "well"]);
    assert_eq!((output.status.code(), &*text(&output.stderr)), (Some(0), ""));
    assert!(env.log_text().contains("run skipped"), "the log says it");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    fs::remove_file(env.lock()).unwrap();
    fs::create_dir(env.lock()).unwrap();
    let output = env.run(&["end_quiet", "well"]);
    assert_eq!(output.status.code(), Some(73));
    assert!(text(&output.stderr).contains("is a directory"));
}

/// On a terminal a person looks on.
#[test]
fn on_a_terminal_it_is_shown_at_once() {
    let env = TestEnv::new();
    let subject = env!("CARGO_BIN_EXE_subject");
    let mut command = Command::new("script");
    command.args(["-qec", &format!("{subject} end_quiet well"), "/dev/null"]).env("SUBJECT_DIR", env.path(""));
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(text(&output.stdout).contains("out 1"), "{}", text(&output.stdout));
}

/// More than any memory holds, shown by a standby, for the collector dies in the middle of it.
#[test]
fn much_is_shown_in_order_and_a_standby_goes_on() {
    let env = TestEnv::new();
    let lines = 300_000;
    let (mut child, mut reader) = in_one_pipe(env.subject(&["quiet_flood", &lines.to_string()]));
    wait_for("the run to print", || env.path("printed").exists());
    wait_for("the log", || env.log_text().contains(line(lines - 1).trim_end()));
    wait_for("the console's file", || state(helper(child.id(), COLLECTOR)) == Some('S'));
    kill(helper(child.id(), COLLECTOR), libc::SIGKILL);
    wait_for("the takeover", || env.log_text().contains(TAKEN_OVER));
    env.go();
    // Some of it, and then the one that shows it dies.
    let mut some = vec![0; 1_000_000];
    reader.read_exact(&mut some).unwrap();
    kill(helper(child.id(), COLLECTOR), libc::SIGKILL);
    let rest = read_all(reader);
    child.wait().unwrap();
    let all = text(&some) + &rest;
    let (mut expected, mut missing) = (0, 0);
    for found in all.lines().filter(|line| line.len() == 89 && line.starts_with("line ")) {
        let number: u64 = found[5..13].parse().unwrap();
        assert!(number >= expected, "{number} again, or out of order");
        missing += number - expected;
        expected = number + 1;
    }
    // What a helper had in its hands: a piece of the file, and what the pipe before the console's holds.
    assert!(expected == lines && missing <= 2 * (256 * 1024 / 90), "{expected} {missing}");
}

/// `nightly | sleep 1d`: the job does not notice, and the reader has all of it once it reads.
#[test]
fn a_console_that_stalls_holds_nobody_up() {
    let env = TestEnv::new();
    let lines = 120_000;
    let start = Instant::now();
    let (mut child, reader) = in_one_pipe(env.subject(&["flood_then_wait", &lines.to_string()]));
    wait_for("the run to print 10 MB", || env.path("printed").exists());
    let printed = start.elapsed();
    let go = Instant::now();
    env.go();
    wait_for("the run to end", || child.try_wait().unwrap().is_some());
    let ended = go.elapsed();
    assert!(!env.is_locked(), "the lock is free");
    assert!((9..25).contains(&ended.as_secs()), "{ended:?}: the console is waited for, but not for ever");
    assert!(env.log_text().contains("the console has taken nothing for 10 s"), "{}", env.closing_line());
    assert!(env.closing_line().contains("run finished in "));
    let all = read_all(reader);
    let expected: String = (0..lines).map(line).collect();
    assert!(all == expected, "{} bytes of {}", all.len(), expected.len());
    println!("printed after {printed:?}, ended {ended:?} after its last line");
}

#[test]
fn a_console_that_stalls_and_a_collector_that_dies() {
    let env = TestEnv::new();
    let lines = 120_000;
    let (mut child, reader) = in_one_pipe(env.subject(&["flood_then_wait", &lines.to_string()]));
    wait_for("the run to print", || env.path("printed").exists());
    wait_for("the log", || env.log_text().contains(line(lines - 1).trim_end()));
    wait_for("the console's file", || state(helper(child.id(), COLLECTOR)) == Some('S'));
    wait_for("a standby", || helpers(child.id()).len() == 2);
    kill(helper(child.id(), COLLECTOR), libc::SIGKILL);
    wait_for("the takeover", || env.log_text().contains(TAKEN_OVER));
    let reading = std::thread::spawn(move || read_all(reader));
    env.go();
    child.wait().unwrap();
    let all = reading.join().unwrap();
    let numbers: Vec<u64> =
        all.lines().filter(|line| line.len() == 89).filter_map(|line| line.get(5..13)?.parse().ok()).collect();
    assert!(numbers.is_sorted(), "in order, nothing twice");
    // What waited in memory died with the collector; the file did not.
    assert!(numbers.len() as u64 > lines - 2 * 1024 * 1024 / 89 - 4_000, "{} of {lines}", numbers.len());
    assert_eq!(*numbers.last().unwrap(), lines - 1);
}

/// Whoever listened is gone: nobody is left to deliver to.
#[test]
fn a_stalled_console_that_goes_away_ends_the_helpers() {
    let env = TestEnv::new();
    let (mut child, reader) = in_one_pipe(env.subject(&["flood_then_wait", "60000"]));
    wait_for("the run to print", || env.path("printed").exists());
    let both: Vec<u32> = helpers(child.id()).into_iter().map(|(pid, _)| pid).collect();
    env.go();
    drop(reader);
    let start = Instant::now();
    assert!(child.wait().unwrap().success());
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    wait_for("the helpers to end", || are_gone(&both));
}
