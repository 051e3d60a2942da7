//! The surroundings a run may find itself in: namespaces, limits, signals, clocks, variables, closed descriptors.
#![allow(missing_docs)]
#![allow(unsafe_code, reason = "limits, signals and the clock are system calls")]

mod support;

use std::fs;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::log_line::stamp;
use support::{NO_STANDBY, STANDBY, TestEnv, before_exec, is_root, kill, logged, printed, text, wait_for};

/// `unshare` gives the program a pid namespace, in which it is PID 1.
#[test]
#[cfg_attr(guard_portable, ignore = "helpers are children of whoever adopts orphans there")]
fn as_pid_1() {
    let env = TestEnv::new();
    let unshare = |arguments: &[&str]| {
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"])
            .arg(env!("CARGO_BIN_EXE_subject"))
            .args(arguments)
            .env("SUBJECT_DIR", env.path(""))
            .output()
            .unwrap()
    };
    let output = unshare(&["wait_loop"]);
    if text(&output.stderr).starts_with("unshare: ") {
        println!("not shown: this machine allows no user namespaces: {}", text(&output.stderr));
        return;
    }
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(env.entries(), ["reaped 3"]);
    assert!(env.log_text().contains("run started: pid 1, "));
    assert_eq!(unshare(&["exit", "200"]).status.code(), Some(3));
    assert!(env.log_text().contains("line 00000199"));
}

#[test]
#[cfg_attr(guard_portable, ignore = "helpers are children of whoever adopts orphans there")]
fn under_a_subreaper_and_as_one() {
    // Orphans are given to the nearest ancestor that asked for them. This does not outlast a fork, but an exec.
    let adopt = || {
        // SAFETY: a flag of the calling process.
        assert_eq!(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) }, 0);
    };
    for is_one in [true, false] {
        let env = TestEnv::new();
        for mode in ["wait_loop", "exit"] {
            let mut command = env.subject(&[mode, "5"]);
            if !is_one {
                // A shell that adopts, and has one more command so that it stays.
                command = Command::new("sh");
                command.args(["-c", "\"$@\"; exit $?", "sh", env!("CARGO_BIN_EXE_subject"), mode, "5"]);
                command.env("SUBJECT_DIR", env.path(""));
            }
            let output = before_exec(&mut command, adopt).output().unwrap();
            assert_eq!(output.status.code(), Some(if mode == "exit" { 3 } else { 0 }));
        }
        assert!(env.log_text().contains("] reaped 3\n") && env.log_text().contains("line 00000004"));
    }
}

/// A closed standard descriptor at the start: the run is logged all the same.
#[test]
fn closed_standard_descriptors() {
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let env = TestEnv::new();
        let script = format!("exec {} mixed_stderr 3 {closed}", env!("CARGO_BIN_EXE_subject"));
        let status = Command::new("sh").args(["-c", &script]).env("SUBJECT_DIR", env.path("")).output().unwrap().status;
        assert!(status.success(), "{closed}");
        assert_eq!(env.entries().len(), 9, "{closed}: {}", env.log_text());
    }
}

#[test]
fn a_refused_process_fails_closed() {
    let env = TestEnv::new();
    let script = format!("ulimit -n 7; exec {} hold", env!("CARGO_BIN_EXE_subject"));
    let output = Command::new("sh").args(["-c", &script]).env("SUBJECT_DIR", env.path("")).output().unwrap();
    assert_eq!(output.status.code(), Some(73), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("raise the limit that was reached"), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
}

/// From far too few descriptors to enough: refused before the function runs, or logged in full.
#[test]
fn few_descriptors() {
    let mut refused = 0;
    for limit in 4..44 {
        let env = TestEnv::new();
        let script = format!("ulimit -n {limit}; exec {} flood 100", env!("CARGO_BIN_EXE_subject"));
        let output = Command::new("sh").args(["-c", &script]).env("SUBJECT_DIR", env.path("")).output().unwrap();
        match output.status.code() {
            Some(73) => {
                refused += 1;
                assert_eq!(text(&output.stdout), "", "{limit}: never ran");
            }
            code => assert_eq!((code, logged(&env).len()), (Some(0), 100), "{limit}: {}", text(&output.stderr)),
        }
    }
    println!("{refused} of 40 limits refused");
    assert!((1..39).contains(&refused));
}

fn limit_processes(most: u64) {
    let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: a limit of this process's own.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_NPROC, &raw const limit) }, 0);
}

/// No further process may be forked: refused. One may: a run without a standby, which says so (but one that is over at once,
/// which needs none).
#[test]
#[cfg_attr(guard_portable, ignore = "a helper takes two forks there")]
fn few_processes() {
    for (limit, code) in [(1, 73), (2, 0)] {
        if limit == 2 && !is_root() {
            return println!("not shown: takes a user of no other processes");
        }
        let env = TestEnv::new();
        let mut command = env.subject_of_user(64_999, &["flood", "50000"]);
        let output = before_exec(&mut command, move || limit_processes(limit)).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
        if code == 73 {
            assert!(text(&output.stderr).contains("Resource temporarily unavailable"), "{}", text(&output.stderr));
            assert_eq!(text(&output.stdout), "");
        } else {
            assert_eq!(logged(&env).len(), 50_000);
            assert!(env.log_text().contains(&format!("{NO_STANDBY} (os error 11)")), "{}", env.log_text());
        }
    }
}

/// The user's pipes have reached their soft limit: a run's own then hold two pages, and all goes the same way.
#[test]
fn the_pipe_limit_is_used_up() {
    if !is_root() {
        return println!("not shown: would use up the limit of the user who runs the tests");
    }
    let env = TestEnv::new();
    let output = env.subject_of_user(64_998, &["pipes_used_up", "50000"]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(logged(&env), (0..50_000).collect::<Vec<_>>());
    assert_eq!(text(&output.stdout).lines().count(), 50_000);
}

#[test]
fn a_signal_to_the_whole_process_group() {
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGKILL] {
        let env = TestEnv::new();
        env.make_counters();
        let mut command = env.subject(&["count", "2"]);
        // A shell has the jobs in its background ignore Ctrl-C, nohup has it ignore hang-ups, and we may be one of those.
        // SAFETY: a system call on the child alone.
        before_exec(&mut command, move || unsafe {
            libc::signal(signal, libc::SIG_DFL);
        });
        let mut child = command.stdout(Stdio::null()).process_group(0).spawn().unwrap();
        wait_for("lines", || env.counters()[1] > 1000);
        support::helper(child.id(), STANDBY);
        // SAFETY: the group of the process that was just started.
        assert_eq!(unsafe { libc::kill(-(child.id() as i32), signal) }, 0);
        assert_eq!(child.wait().unwrap().signal(), Some(signal));
        assert!(env.closing_line().contains("run ended without finishing"));
        assert!(env.entries().len() as u64 >= env.counters().iter().sum());
    }
}

/// As systemd ends a service (`KillMode=control-group`): SIGTERM to every process in it, SIGKILL later to those that are
/// left. None is.
#[test]
#[ignore = "needs root and a control group"]
fn a_signal_to_the_whole_control_group() {
    let group = ["pids/guard-stop", "guard-stop"].map(|name| std::path::Path::new("/sys/fs/cgroup").join(name));
    let Some(group) = group.iter().find(|group| fs::create_dir_all(group).is_ok()) else {
        return println!("not shown: no control groups on this machine");
    };
    for _ in 0..20 {
        let env = TestEnv::new();
        env.make_counters();
        let script =
            format!("echo $$ > {}/cgroup.procs; exec {} count 2", group.display(), env!("CARGO_BIN_EXE_subject"));
        let mut command = Command::new("sh");
        command.args(["-c", &script]).env("SUBJECT_DIR", env.path("")).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        wait_for("lines", || env.counters()[1] > 1000);
        let members = || fs::read_to_string(group.join("cgroup.procs")).unwrap();
        // The collector's standby may be forked later than the first lines are printed.
        wait_for("both helpers", || members().lines().count() == 3);
        for member in members().lines() {
            kill(member.parse().unwrap(), libc::SIGTERM);
        }
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
        wait_for("the helpers to end by themselves", || members().is_empty());
        assert!(env.closing_line().contains("run ended without finishing"));
        assert!(env.entries().len() as u64 >= env.counters().iter().sum());
    }
    wait_for("the group to be free", || fs::remove_dir(group).is_ok());
}

/// Moves the machine's clock by so many seconds.
fn step_clock(seconds: i64) -> bool {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is written, and read.
    unsafe {
        libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut now);
        now.tv_sec += seconds;
        libc::clock_settime(libc::CLOCK_REALTIME, &raw const now) == 0
    }
}

/// Stamps stand still until the clock has caught up; durations do not follow it.
#[test]
#[ignore = "sets the machine's clock back for a moment: needs root"]
fn a_clock_set_back() {
    let env = TestEnv::new();
    let start = Instant::now();
    let mut child = env.subject(&["slow_flood", "50000"]).stdout(Stdio::null()).spawn().unwrap();
    wait_for("lines", || env.log_text().contains("line 00010000"));
    let stepped = step_clock(-3);
    let status = child.wait().unwrap();
    assert!(stepped && step_clock(3), "the clock may be set");
    assert_eq!(status.code(), Some(7));
    assert_eq!(logged(&env), (0..50_000).collect::<Vec<_>>());
    let log = env.log_text();
    assert!(log.lines().map(stamp).is_sorted());
    let closing = env.closing_line();
    let (_, seconds) = closing.rsplit_once("after ").unwrap();
    let seconds: f64 = seconds.split('s').next().unwrap().parse().unwrap();
    assert!((0.1..start.elapsed().as_secs_f64()).contains(&seconds), "{closing}");
}

/// A thread holds standard output's lock when another one exits: waited for, but not for ever.
#[test]
fn stdout_held_at_exit() {
    let env = TestEnv::new();
    let start = Instant::now();
    assert_eq!(env.run(&["stdout_held"]).status.code(), Some(6));
    assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    assert_eq!(env.entries(), ["before", "subject::surroundings: after"]);
    assert!(env.closing_line().contains("run ended by process::exit"));
}

#[test]
fn bytes_in_the_buffer_of_c() {
    for exit in ["0", "1"] {
        let env = TestEnv::new();
        let output = env.run(&["c_stdio", exit]);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "from C\n"));
        assert_eq!(env.entries(), ["from C"], "exit {exit}");
    }
}

#[test]
fn a_thread_of_c_reads_at_the_end() {
    let env = TestEnv::new();
    let mut child = env.subject(&["c_reader"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let open = child.stdin.take();
    wait_for("the end", || child.try_wait().unwrap().is_some());
    assert!(child.wait().unwrap().success());
    assert_eq!(env.entries(), ["from C"]);
    drop(open);
}

/// Too little memory for a run's buffers: refused, or logged in full.
#[test]
fn little_memory() {
    let mut refused = 0;
    for limit in ["-v 12000", "-v 16000", "-v 20000", "-v 40000", "-d 5000", "-d 10000", "-d 15000", "-d 20000"] {
        let env = TestEnv::new();
        let script = format!("ulimit {limit}; exec {} flood 100", env!("CARGO_BIN_EXE_subject"));
        let output = Command::new("sh").args(["-c", &script]).env("SUBJECT_DIR", env.path("")).output().unwrap();
        match output.status.code() {
            Some(73) => {
                refused += 1;
                assert!(text(&output.stderr).contains("raise the limit"), "{limit}: {}", text(&output.stderr));
            }
            code => assert_eq!((code, logged(&env).len()), (Some(0), 100), "{limit}: {}", text(&output.stderr)),
        }
    }
    println!("{refused} of 8 limits refused");
}

/// The README's own recipe: `${XDG_STATE_HOME:-~/.local/state}`.
#[test]
fn defaults_that_name_the_home_directory() {
    for mode in ["default_with_tilde", "default_with_variable"] {
        let env = TestEnv::new();
        let output = env.subject(&[mode]).env("HOME", env.path("")).current_dir(env.path("")).output().unwrap();
        assert!(output.status.success(), "{mode}: {}", text(&output.stderr));
        let made: Vec<_> = fs::read_dir(env.path("")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(env.log().exists() && env.lock().exists() && made.len() == 2, "{mode}: {made:?}");
    }
}

/// The clock is ahead for a moment, and right again: so are the stamps.
#[test]
#[ignore = "sets the machine's clock ahead for a moment: needs root"]
fn a_clock_set_ahead_for_a_moment() {
    let env = TestEnv::new();
    let mut child = env.subject(&["flood_on_in_one_file", "50000"]).stdout(Stdio::null()).spawn().unwrap();
    wait_for("lines", || env.log_text().contains("line 00010000"));
    let stepped = step_clock(60);
    std::thread::sleep(Duration::from_millis(20));
    assert!(step_clock(-60) && stepped, "the clock may be set");
    env.go();
    assert_eq!(child.wait().unwrap().code(), Some(7));
    assert_eq!(logged(&env), (0..printed(&env)).collect::<Vec<_>>());
    let soon = Command::new("date").args(["-u", "-d", "5 seconds", "+%FT%T.%6NZ"]).output().unwrap();
    let closing = env.closing_line();
    assert!(stamp(&closing) < text(&soon.stdout).trim(), "{closing}");
}
