//! Namespaces of processes, as containers have them: who dies with PID 1, and whom a loser can see.
#![allow(missing_docs)]
#![allow(unsafe_code, reason = "namespaces are system calls")]

mod support;

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use support::{
    COLLECTOR, NO_STANDBY, TestEnv, before_exec, helper, is_root, kill, log_line, strace_all, text, wait_for,
};

/// `unshare`, in whose new namespace of processes the rest of its arguments is PID 1. None where that is not allowed.
fn unshare() -> Option<Command> {
    let mut command = Command::new("unshare");
    if !is_root() {
        command.args(["--user", "--map-root-user"]);
    }
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).stdin(Stdio::null());
    let mut probe = Command::new("unshare");
    probe.args(command.get_args()).arg("true");
    if probe.status().is_ok_and(|status| status.success()) {
        return Some(command);
    }
    println!("not shown: this machine allows no namespaces of processes");
    None
}

/// The process that has that number of the child's inside the namespace.
fn inner(unshare: &Child, number: &str) -> u32 {
    let mut found = None;
    wait_for("the process in the namespace", || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let of_namespace = |pid: &u32| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:\t")).unwrap_or_default().to_owned();
            numbers.ends_with(&format!("\t{number}")) && is_descendant(*pid, unshare.id())
        };
        found = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(of_namespace);
        found.is_some()
    });
    found.unwrap()
}

fn is_descendant(pid: u32, of: u32) -> bool {
    let mut pid = pid;
    while pid > 1 && pid != of {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let Some((_, fields)) = stat.rsplit_once(") ") else { return false };
        pid = fields.split(' ').nth(1).unwrap().parse().unwrap();
    }
    pid == of
}

/// A thread of ours holds the control pipe open in such a run.
#[test]
#[cfg_attr(guard_portable, ignore = "one that hangs is not ended there; nothing but Linux runs a job as PID 1")]
fn a_run_that_is_pid_1_with_a_timeout_runs_its_command() {
    for (end, code, state) in [("well", 0, "succeeded"), ("calls_exit", 3, "exited"), ("forever", 137, "timed_out")] {
        let Some(mut command) = unshare() else { return };
        let env = TestEnv::new();
        command.args([env!("CARGO_BIN_EXE_subject"), "guarded"]).env("SUBJECT_DIR", env.path("")).env("END", end);
        command.envs([("TIMEOUT", if end == "forever" { "300" } else { "60000" }), ("KILL_AFTER", "100")]);
        command.env("ON_END", "sleep 0.2; echo $GUARD_STATE >\"$SUBJECT_DIR/told\"");
        let mut child = command.stdout(Stdio::null()).spawn().unwrap();
        let mut ended = None;
        wait_for(&format!("{end}: the end"), || {
            ended = child.try_wait().unwrap();
            ended.is_some()
        });
        let told = std::fs::read_to_string(env.path("told")).unwrap_or_default();
        assert_eq!((ended.unwrap().code(), told.trim()), (Some(code), state), "{end}: {}", env.log_text());
        assert!(!env.is_locked(), "{end}");
        // Its own record, and nobody else's.
        assert!(!env.log_text().contains("has the lock"), "{}", env.log_text());
    }
}

/// As it starts, the command has copies of the collector's descriptors, the run's streams among them.
#[test]
#[ignore = "needs strace"]
fn the_command_of_a_run_that_is_pid_1_is_not_killed_with_the_run() {
    let Some(mut command) = unshare() else { return };
    let env = TestEnv::new();
    command.args([env!("CARGO_BIN_EXE_subject"), "guarded"]).env("SUBJECT_DIR", env.path("")).env("END", "forever");
    command.envs([("TIMEOUT", "1500"), ("KILL_AFTER", "100"), ("ON_END", "echo >$SUBJECT_DIR/told")]);
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let collector = helper(inner(&child, "1"), COLLECTOR);
    // The child's calls before it closes them, and the collector's between the fork and the next scan.
    let mut strace = strace_all(collector, "chdir,dup3,pidfd_open:delay_enter=100000");
    assert_eq!(child.wait().unwrap().code(), Some(137), "{}", env.log_text());
    strace.wait().unwrap();
    assert!(env.path("told").exists(), "{}", env.log_text());
}

/// Asked to end, it returns: children that take longer keep the lock while the command is run.
#[test]
#[cfg_attr(guard_portable, ignore = "nobody can be looked for")]
fn the_lock_of_a_run_that_is_pid_1_is_kept_for_its_children() {
    let Some(mut command) = unshare() else { return };
    let env = TestEnv::new();
    command.args([env!("CARGO_BIN_EXE_subject"), "guarded"]).env("SUBJECT_DIR", env.path(""));
    command.envs([("TIMEOUT", "300"), ("KILL_AFTER", "60000"), ("END", "orderly")]);
    command.env("SCRIPT", "trap '' TERM; (while [ ! -e $SUBJECT_DIR/go ]; do sleep 0.01; done) &");
    command.env("ON_END", "echo >$SUBJECT_DIR/told; while [ ! -e $SUBJECT_DIR/go ]; do sleep 0.01; done");
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    wait_for("the command", || env.path("told").exists());
    wait_for("the lock to be taken again", || env.is_locked());
    env.go();
    assert!(child.wait().unwrap().success(), "{}", env.log_text());
    assert!(env.log_text().contains("then the run finished in"), "{}", env.log_text());
}

/// Its timeout would be worth nothing: the start fails, and what was begun of it is ended.
#[test]
#[cfg(all(target_env = "gnu", target_arch = "x86_64"))]
fn a_run_that_is_pid_1_with_a_timeout_and_no_thread_is_refused() {
    let Some(mut command) = unshare() else { return };
    // SAFETY: a text that stays.
    if unsafe { std::ffi::CStr::from_ptr(libc::gnu_get_libc_version()) } < c"2.34" {
        return println!("not shown: this C library starts threads as helpers are forked, by clone(2)");
    }
    let env = TestEnv::new();
    command.args([env!("CARGO_BIN_EXE_subject"), "guarded"]).env("SUBJECT_DIR", env.path("")).env("END", "well");
    command.env("TIMEOUT", "60000").stdout(Stdio::null());
    // The C library starts its threads so; helpers are forked otherwise.
    let output = before_exec(&mut command, || support::forbid(&[libc::SYS_clone3], libc::EAGAIN)).output().unwrap();
    assert_eq!(output.status.code(), Some(73), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("the run is PID 1, and its timeout needs a thread"),
        "{}",
        text(&output.stderr)
    );
    assert!(env.closing_line().contains("run failed in "), "{}", env.log_text());
    assert!(!env.is_locked());
}

/// tini(1) as PID 1: it ends with its child, and everybody else in there with it, the helpers too. What they could not write
/// any more, the next run writes.
#[test]
#[ignore = "needs tini"]
fn each_run_under_tini_has_a_closing_line() {
    const DEATHS: usize = 30;
    if unshare().is_none() {
        return;
    }
    let env = TestEnv::new();
    let start = |stdin: Stdio| {
        let mut command = unshare().unwrap();
        command.args(["tini", "--", env!("CARGO_BIN_EXE_subject"), "hold"]);
        command.env("SUBJECT_DIR", env.path("")).stdin(stdin).stdout(Stdio::null()).spawn().unwrap()
    };
    let count = |what: &dyn Fn(&str) -> bool| env.log_text().lines().filter(|line| what(line)).count();
    for death in 1..=DEATHS {
        let mut container = start(Stdio::piped());
        let job = inner(&container, "2");
        wait_for("the holder to hold", || count(&|line| line.ends_with("] held")) == death);
        assert!(kill(job, [libc::SIGTERM, libc::SIGKILL, libc::SIGSEGV][death % 3]));
        container.wait().unwrap();
    }
    assert!(start(Stdio::null()).wait().unwrap().success());
    let log = env.log_text();
    let starts: Vec<_> = log.match_indices("guard_runtime: run started").map(|(at, _)| at).collect();
    assert_eq!(starts.len(), DEATHS + 1);
    // Some of those have one of their own too: they were killed before their status said so.
    let mut told_by_the_next = 0;
    for run in starts.windows(2) {
        let closing: Vec<_> = log[run[0]..run[1]].lines().filter(|line| log_line::is_closing(line)).collect();
        assert!(!closing.is_empty(), "each run has a closing line: {log}");
        told_by_the_next += usize::from(closing[0].ends_with("ended without a trace"));
    }
    println!("{DEATHS} deaths, of which {told_by_the_next} were told by the next run");
}

/// PID 1 lives on, as systemd in a container does: what a killed run leaves has the lock at once, and no other run had it.
#[test]
fn a_first_process_that_outlives_the_run() {
    for _ in 0..10 {
        let Some(mut command) = unshare() else { return };
        let env = TestEnv::new();
        command.args(["sh", "-c", "\"$0\" guarded; read line", env!("CARGO_BIN_EXE_subject")]);
        command.env("SUBJECT_DIR", env.path("")).env("END", "killed");
        command.env("SCRIPT", "while [ ! -e $SUBJECT_DIR/go ]; do sleep 0.01; done &");
        let mut container = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for("what is left", || env.log_text().ends_with("; the lock is kept until they have ended\n"));
        env.go();
        wait_for("nothing to be left", || env.log_text().ends_with("nothing is left of the run; the lock is free\n"));
        let log = env.log_text();
        assert!(!log.contains("another run"), "{log}");
        drop(container.stdin.take());
        container.wait().unwrap();
    }
}

/// A run whose process nobody outside can see, and who waits for the end of its input.
fn hold_unseen(env: &TestEnv) -> Option<Child> {
    let mut command = unshare()?;
    command.args([env!("CARGO_BIN_EXE_subject"), "hold"]).env("SUBJECT_DIR", env.path(""));
    let holder = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    wait_for("the holder to hold", || env.log_text().contains("] held\n"));
    Some(holder)
}

/// Holder and loser cannot see each other's processes, as in two containers that share a directory.
#[test]
fn a_stuck_holder_in_another_namespace() {
    let env = TestEnv::new();
    let Some(mut holder) = hold_unseen(&env) else { return };
    std::thread::sleep(Duration::from_millis(200));
    let output = env.run(&["stuck"]);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(75) && !said.contains("unknown process"), "{}: {said}", output.status);
    assert_eq!(env.run(&["stuck_in_an_hour"]).status.code(), Some(0), "it is not so old");
    drop(holder.stdin.take());
    holder.wait().unwrap();
}

/// Who cannot see the holder knows from its file that it lives, however long it runs.
#[test]
#[ignore = "waits a minute for a sign of life"]
fn an_old_holder_in_another_namespace() {
    let env = TestEnv::new();
    let Some(mut holder) = hold_unseen(&env) else { return };
    let lock = std::fs::File::open(env.lock()).unwrap();
    let loser = || text(&env.run(&["strict"]).stderr);
    for _ in 0..2 {
        lock.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(loser().contains("is held by an unknown process"), "nobody knows whether it lives");
        let (start, is_old) =
            (Instant::now(), || lock.metadata().unwrap().modified().unwrap() == SystemTime::UNIX_EPOCH);
        while is_old() && start.elapsed() < Duration::from_secs(90) {
            std::thread::sleep(Duration::from_millis(10));
        }
        println!("a sign of life after {:?}", start.elapsed());
        assert!(loser().contains("of another pid namespace or machine"), "{}", loser());
    }
    drop(holder.stdin.take());
    holder.wait().unwrap();
}

/// A program that gives its future children a namespace of their own before the run: the first of them would be a helper, which
/// ends all others with it. Nothing is run then, and it is said what to do: the same inside the run.
#[test]
#[ignore = "needs root, to make a namespace"]
fn a_namespace_for_children() {
    let env = TestEnv::new();
    let mut command = env.subject(&["first_child_is_pid_1"]);
    let unshare = || {
        // SAFETY: a namespace for the caller's future children.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0);
    };
    // Before the exec: the program itself stays outside.
    let output = before_exec(&mut command, unshare).output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(73) && said.contains("call unshare inside the run"), "{said}");
    assert!(!env.log().exists() && !env.lock().exists());

    let output = env.run(&["unshared_inside"]);
    assert_eq!((output.status.code(), output.status.signal()), (Some(0), None), "{}", text(&output.stderr));
    assert_eq!(env.entries(), ["child 1"]);
    assert!(!env.log_text().contains(NO_STANDBY), "{}", env.log_text());
}
