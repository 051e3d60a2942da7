//! On a terminal: the program and the person see what they would see without us, and the file reads as the screen did.
#![allow(missing_docs)]
#![allow(unsafe_code, reason = "waiting for a stopped process")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use support::terminal::Terminal;
use support::{
    COLLECTOR, TAKEN_OVER, TestEnv, assert_counted, before_exec, helper, kill, logged, printed, random, repeat,
    wait_for, wait_for_printed,
};

/// Which of the two standard streams lead to the terminal; the other leads to a file.
fn shown(env: &TestEnv, mode: &str, stdout: bool, stderr: bool) -> (String, String) {
    let terminal = Terminal::new();
    let file = || fs::File::create(env.path("other")).unwrap();
    let mut command = env.subject(&[mode]);
    terminal.login(&mut command);
    // The bar is hidden where it is `dumb`, as under cron.
    command.env("TERM", "xterm");
    if !stdout {
        command.stdout(file());
    }
    if !stderr {
        command.stderr(file());
    }
    let flags = terminal.flags();
    let capture = terminal.capture();
    let mut child = command.spawn().unwrap();
    drop(command);
    while child.try_wait().unwrap().is_none() {
        assert_eq!(terminal.flags(), flags, "while it runs");
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(terminal.flags(), flags, "after it");
    (capture.finish(), fs::read_to_string(env.path("other")).unwrap_or_default())
}

#[test]
fn bytes_on_the_terminal_are_those_of_the_bare_program() {
    for (stdout, stderr) in [(true, true), (true, false), (false, true)] {
        let env = TestEnv::new();
        let bare = shown(&env, "show_bare", stdout, stderr);
        let guarded = shown(&env, "show", stdout, stderr);
        assert_eq!(guarded, bare, "stdout {stdout}, stderr {stderr}");
        let all = guarded.0 + &guarded.1;
        assert!(all.contains(&format!("stdout {stdout}, stderr {stderr}\r\n")) || !stdout, "{all}");
        assert!(all.contains(&format!("child: stdout {}", u8::from(!stdout))), "{all}");
        assert!(all.contains(&format!("child: stderr {}", u8::from(!stderr))), "{all}");
        assert_eq!(all.contains("30 100"), stdout, "the child sees the terminal's size: {all}");
        assert_eq!(all.contains("\x1b[1;31mred"), stdout, "{all}");
        assert_eq!(all.contains(" 3/8"), stderr, "the bar: {all}");
        let log = env.log_text();
        assert!(!log.contains(['\x1b', '\r']), "{log}");
        assert!(!log.contains("/8"), "no redraws: {log}");
        let entries = env.entries();
        let expected = ["red and not\ttab", "warning", "no newline"];
        assert!(expected.iter().all(|text| entries.iter().any(|entry| entry == text)), "{entries:?}");
    }
}

#[test]
#[cfg_attr(guard_portable, ignore = "nobody is told of a resize there")]
fn a_resize_is_seen() {
    let env = TestEnv::new();
    let terminal = Terminal::new();
    let capture = terminal.capture();
    let mut child = terminal.login(&mut env.subject(&["sizes"])).spawn().unwrap();
    wait_for("the first size", || env.log_text().contains("] (30, 100)\n"));
    terminal.resize(40, 132);
    wait_for("the second size", || env.log_text().contains("] (40, 132)\n"));
    env.go();
    assert!(child.wait().unwrap().success());
    drop(capture);
}

#[test]
fn kills() {
    let printed = AtomicU64::new(0);
    repeat(300, |_| {
        let env = TestEnv::new();
        env.make_counters();
        let terminal = Terminal::new();
        let capture = terminal.capture();
        let threads = 1 + random(4);
        let mut child = terminal.login(&mut env.subject(&["count", &threads.to_string()])).spawn().unwrap();
        wait_for("the first line", || env.counters()[0] > 0);
        std::thread::sleep(Duration::from_micros(random(30_000)));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        assert!(env.closing_line().contains("run ended without finishing"));
        printed.fetch_add(assert_counted(&env, &env.entries()), Ordering::Relaxed);
        assert!(!capture.finish().is_empty());
    });
    println!("300 kills, {} lines printed, 0 lost", printed.into_inner());
}

/// A signal in the middle of a write would tear a frame: a terminal takes a page at a time.
fn frames_in_a_storm(rounds: u64) {
    let env = TestEnv::new();
    let terminal = Terminal::new();
    let capture = terminal.capture();
    let mut child = terminal.login(&mut env.subject(&["signalled_records", &rounds.to_string()])).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    let shown = capture.finish();
    let mut next = [0; 4];
    for line in
        fs::read_to_string(env.log()).unwrap().lines().filter_map(|line| line.split_once("] subject::terminals: "))
    {
        let mut words = line.1.split(' ');
        let thread: usize = words.next().unwrap().parse().unwrap();
        let round: u64 = words.next().unwrap().parse().unwrap();
        let rest = words.next().unwrap();
        assert_eq!(round, next[thread]);
        assert!(rest.len() == [4040, 4096, 5000, 9000][round as usize % 4] && rest.bytes().all(|byte| byte == b'r'));
        next[thread] += 1;
    }
    assert_eq!(next, [rounds; 4]);
    println!("{} records, {}", 4 * rounds, shown.trim());
}

#[test]
fn no_frame_is_torn() {
    frames_in_a_storm(2500);
}

#[test]
#[ignore = "takes a while"]
fn no_frame_is_torn_for_long() {
    frames_in_a_storm(25_000);
}

#[test]
fn control_c() {
    let env = TestEnv::new();
    env.make_counters();
    let mut terminal = Terminal::new();
    let flags = terminal.flags();
    let capture = terminal.capture();
    let mut child = terminal.login(&mut env.subject(&["count", "1"])).spawn().unwrap();
    wait_for("lines", || env.counters()[0] > 100);
    terminal.emulator.write_all(b"\x03").unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGINT));
    assert!(env.closing_line().contains("run ended without finishing"));
    assert!(env.entries().len() as u64 >= env.counters()[0]);
    assert_eq!(terminal.flags(), flags);
    // The terminal drops what it holds at that moment (termios(3), `NOFLSH`), as ever.
    assert!(capture.finish().contains("^C"));
}

#[test]
fn control_z_and_on() {
    let env = TestEnv::new();
    env.make_counters();
    let mut terminal = Terminal::new();
    let capture = terminal.capture();
    // A process that is stopped needs a shell to bring it back: without one (an orphaned group) Ctrl-Z does nothing.
    let mut command = Command::new("bash");
    let script = format!(
        "set -m; {} flood_on_in_one_file 30000; jobs; : > $SUBJECT_DIR/go; fg; echo status $?",
        env!("CARGO_BIN_EXE_subject")
    );
    command.args(["-c", &script]).env("SUBJECT_DIR", env.path(""));
    let mut child = terminal.login(&mut command).spawn().unwrap();
    drop(command);
    wait_for("lines", || env.log_text().contains("line 00001000"));
    terminal.emulator.write_all(b"\x1a").unwrap();
    assert!(child.wait().unwrap().success());
    let shown = capture.finish();
    assert!(shown.contains("Stopped") && shown.contains("status 7"), "{}", &shown[shown.len() - 300..]);
    assert!(env.closing_line().contains("run ended by process::exit"));
    assert_eq!(logged(&env), (0..printed(&env)).collect::<Vec<_>>());
}

/// The terminal is closed: the program dies of SIGHUP, as it would without us, or goes on under nohup.
#[test]
fn hang_up() {
    for nohup in [false, true] {
        let env = TestEnv::new();
        let mut terminal = Terminal::new();
        let mut command = env.subject(&["flood_on_in_one_file", "30000"]);
        terminal.login(&mut command);
        if nohup {
            // SAFETY: ignores a signal.
            before_exec(&mut command, || unsafe {
                assert!(libc::signal(libc::SIGHUP, libc::SIG_IGN) != libc::SIG_ERR);
            });
        }
        let mut child = command.spawn().unwrap();
        drop(command);
        terminal.emulator.read_exact(&mut [0; 5000]).unwrap();
        drop(terminal);
        if nohup {
            env.go();
        }
        let status = child.wait().unwrap();
        let closing = env.closing_line();
        let logged = logged(&env);
        assert!(logged.iter().copied().eq(0..logged.len() as u64));
        if nohup {
            assert_eq!((status.code(), logged.len()), (Some(7), printed(&env) as usize));
            assert!(closing.contains("run ended by process::exit"));
            assert!(env.log_text().contains("the console is gone (os error 5)"));
        } else {
            assert_eq!(status.signal(), Some(libc::SIGHUP));
            assert!(closing.contains("run ended without finishing"));
        }
    }
}

/// Nobody reads the terminal: a program that waits in the middle of a record can be told to end.
#[test]
#[cfg_attr(guard_portable, ignore = "a terminal that has room for half of a write holds the collector up there")]
fn told_to_end_while_the_terminal_stalls() {
    let env = TestEnv::new();
    env.make_counters();
    let terminal = Terminal::new();
    let mut child = terminal.login(&mut env.subject(&["records"])).spawn().unwrap();
    let before = wait_for_printed(&env, 1000);
    assert!(kill(child.id(), libc::SIGTERM));
    wait_for("the end", || child.try_wait().unwrap().is_some_and(|status| status.signal() == Some(libc::SIGTERM)));
    assert!(env.closing_line().contains("run ended without finishing"));
    assert!(logged(&env).is_empty() && env.entries().len() as u64 >= before);
}

/// Where /dev/pts is not to be had there is a pipe, and the log says so.
#[test]
#[ignore = "needs root, to mount"]
fn no_pseudo_terminal() {
    let env = TestEnv::new();
    let terminal = Terminal::new();
    let capture = terminal.capture();
    let script = format!("mount -t tmpfs none /dev && exec {} flood 100", env!("CARGO_BIN_EXE_subject"));
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).env("SUBJECT_DIR", env.path("")).stdin(Stdio::null());
    assert!(terminal.stdout(&mut command).status().unwrap().success());
    drop(command);
    assert_eq!(logged(&env).len(), 100);
    assert!(env.log_text().contains("[WARN ] guard_runtime: no pseudo-terminal can be had (No such file"));
    assert!(capture.finish().contains("line 00000099"));
}

/// less(1) reads keys from the terminal that its standard error leads to.
#[test]
#[ignore = "needs less"]
fn a_pager_gets_keys() {
    let of_file = "seq 500 >$SUBJECT_DIR/numbers; less $SUBJECT_DIR/numbers";
    for (script, is_killed) in [("seq 500 | less", false), (of_file, false), (of_file, true)] {
        let env = TestEnv::new();
        let mut terminal = Terminal::new();
        let flags = terminal.flags();
        let capture = terminal.capture();
        let mut command = env.subject(&["script"]);
        command.env("SCRIPT", script).env("TERM", "xterm").env_remove("LESS");
        let mut child = terminal.login(&mut command).spawn().unwrap();
        drop(command);
        if is_killed {
            // Once less has set the terminal's flags; its standby passes the keys on.
            wait_for("the pager", || terminal.flags() != flags);
            assert!(kill(helper(child.id(), COLLECTOR), libc::SIGKILL));
        }
        let start = Instant::now();
        while child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_secs(20), "it waits for keys: {script}");
            terminal.emulator.write_all(b"q").unwrap();
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(child.wait().unwrap().success());
        assert_eq!(terminal.flags(), flags, "as it was");
        assert!(capture.finish().contains("printed 49\r\n"));
        assert_eq!(env.log_text().contains(TAKEN_OVER), is_killed);
        let entries = env.entries();
        assert_eq!(entries.iter().filter(|entry| entry.contains("record ")).count(), 50);
        assert_eq!(entries.iter().filter(|entry| entry.starts_with("printed ")).count(), 50);
    }
}

/// A child sets the flags of the terminal that it finds behind its standard streams.
#[test]
#[cfg_attr(guard_portable, ignore = "a change of flags is not told there")]
fn a_child_that_sets_the_terminals_flags() {
    for script in ["stty sane <&2", "stty sane <&1", "stty cooked <&2", "stty -F /dev/stderr onlcr opost"] {
        let env = TestEnv::new();
        let terminal = Terminal::new();
        let capture = terminal.capture();
        let mut command = env.subject(&["script"]);
        command.env("SCRIPT", script);
        assert!(terminal.login(&mut command).status().unwrap().success());
        drop(command);
        let shown = capture.finish();
        let expected: Vec<String> =
            (0..50).flat_map(|n| [format!("subject::terminals: record {n}"), format!("printed {n}")]).collect();
        assert_eq!(env.entries(), expected, "{script}");
        assert!(shown.contains("printed 49\r\n") && !shown.contains("\r\r"), "{script}: {shown:?}");
    }
}

/// A child in the foreground hears of it as the program does, and finds the new size when it asks.
#[test]
#[cfg_attr(guard_portable, ignore = "nobody is told of a resize there")]
fn a_resize_is_seen_by_children() {
    for _ in 0..5 {
        let env = TestEnv::new();
        let terminal = Terminal::new();
        let capture = terminal.capture();
        let mut child = terminal.login(&mut env.subject(&["sizes_of_child"])).spawn().unwrap();
        wait_for("the first size", || env.log_text().contains("] (30, 100)\n"));
        terminal.resize(40, 132);
        let start = Instant::now();
        while !env.log_text().contains("] (40, 132)\n") {
            assert!(start.elapsed() < Duration::from_secs(5), "the child was not told: {}", env.log_text());
            std::thread::sleep(Duration::from_millis(10));
        }
        env.go();
        assert!(child.wait().unwrap().success());
        drop(capture);
    }
}
