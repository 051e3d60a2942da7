//! The helpers: whose children they are, what they hold open, and that any of them may be killed.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use support::{Place, helpers, kill, random, repeat, text, wait_for};

#[test]
fn a_wait_loop_sees_only_its_own_children() {
    let place = Place::new();
    assert!(place.run(&["wait_loop"]).status.success());
    assert_eq!(place.entries(), ["reaped 3"]);
}

/// `unshare` gives the program a pid namespace, in which it is PID 1.
#[test]
fn as_pid_1() {
    let place = Place::new();
    let unshare = |arguments: &[&str]| {
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"])
            .arg(env!("CARGO_BIN_EXE_subject"))
            .args(arguments)
            .env("SUBJECT_DIR", place.path(""))
            .output()
            .unwrap()
    };
    let output = unshare(&["wait_loop"]);
    if text(&output.stderr).starts_with("unshare: ") {
        println!("not shown: this machine allows no user namespaces: {}", text(&output.stderr));
        return;
    }
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(place.entries(), ["reaped 3"]);
    assert!(place.log_text().contains("run started: pid 1, "));
    assert_eq!(unshare(&["exit", "200"]).status.code(), Some(3));
    assert!(place.log_text().contains("line 00000199"));
}

#[test]
fn under_a_subreaper_and_as_one() {
    let place = Place::new();
    let script = "import ctypes, subprocess, sys; ctypes.CDLL(None).prctl(36, 1, 0, 0, 0); \
                  sys.exit(subprocess.call(sys.argv[1:]))";
    for mode in ["wait_loop", "exit"] {
        let output = Command::new("python3")
            .args(["-c", script, env!("CARGO_BIN_EXE_subject"), mode, "5"])
            .env("SUBJECT_DIR", place.path(""))
            .output();
        let Ok(output) = output else { return println!("not shown: no python3 on this machine") };
        assert_eq!(output.status.code(), Some(if mode == "exit" { 3 } else { 0 }));
    }
    assert!(place.log_text().contains("reaped 3") && place.log_text().contains("line 00000004"));
}

#[test]
fn a_child_sees_the_standard_descriptors_only() {
    let place = Place::new();
    assert!(place.run(&["child_descriptors"]).status.success());
    // What the test itself has inherited passes through, with us and without.
    let bare = Command::new("ls").arg("/proc/self/fd").stdin(Stdio::null()).output().unwrap();
    assert_eq!(place.entries(), text(&bare.stdout).lines().collect::<Vec<_>>());
}

/// The helpers hold streams, control, log and console open, and nothing that they inherited.
#[test]
fn helpers_keep_their_own_descriptors_only() {
    let place = Place::new();
    let inherited = fs::File::create(place.path("inherited")).unwrap();
    let copy = std::os::fd::AsRawFd::as_raw_fd(&inherited);
    let mut command = place.subject(&["hold"]);
    // SAFETY: dup2 is async-signal-safe.
    #[allow(unsafe_code)]
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(&mut command, move || {
            libc::dup2(copy, 50);
            Ok(())
        });
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the run to start", || place.log_text().contains("] held\n") && helpers(child.id()).len() == 2);
    for (helper, name) in helpers(child.id()) {
        let open = || -> Vec<String> {
            let directory = fs::read_dir(format!("/proc/{helper}/fd")).unwrap();
            directory.filter_map(|entry| Some(fs::read_link(entry.ok()?.path()).ok()?.display().to_string())).collect()
        };
        wait_for("the helper to close what is not its own", || !open().iter().any(|path| path.contains("inherited")));
        let open = open();
        assert!(!open.iter().any(|path| path.contains("run.lock")), "{name} keeps the lock: {open:?}");
        assert!(open.len() <= 10, "{name}: {open:?}");
    }
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    wait_for("the helpers to end", || helpers(child.id()).is_empty());
}

/// One helper, then the other: the job keeps its exit code, and misses at most a batch.
#[test]
fn each_helper_killed_in_turn() {
    const LINES: u64 = 100_000;
    let missing = AtomicU64::new(0);
    repeat(10, |_| {
        let place = Place::new();
        let mut child = place.subject(&["slow_flood", &LINES.to_string()]).stdout(Stdio::null()).spawn().unwrap();
        let mut killed = Vec::new();
        for name in ["guard-collector", "guard-keeper", "guard-collector"] {
            let living =
                || helpers(child.id()).into_iter().filter(|(pid, _)| !killed.contains(pid)).collect::<Vec<_>>();
            let find = || living().into_iter().find(|(_, n)| n == name);
            wait_for("a collector and a keeper", || {
                living().len() == 2 && living()[0].1 != living()[1].1 && find().is_some()
            });
            let (helper, _) = find().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(random(20)));
            kill(helper, 9);
            killed.push(helper);
        }
        assert_eq!(child.wait().unwrap().code(), Some(7), "the job ends as it would");
        assert!(place.closing_line().contains("run ended by process::exit"));
        let log = place.log_text();
        assert_eq!(
            log.matches("was killed; its keeper took over, at most one batch is missing here").count(),
            2,
            "{killed:?}"
        );
        assert_eq!(log.matches("the collector's keeper was killed; nothing is missing").count(), 1);
        let logged = place.entries().len() as u64;
        assert!(LINES - logged <= 2 * 256 * 1024 / 90, "{} lines are missing", LINES - logged);
        missing.fetch_add(LINES - logged, Ordering::Relaxed);
    });
    println!("30 helpers killed, {} of 1,000,000 lines missing", missing.into_inner());
}

/// No byte of ours in the file that user code has put in the place of a standard descriptor, and no hang.
#[test]
fn redirected_closed_and_closed_from() {
    for mode in ["redirect", "close"] {
        let place = Place::new();
        assert!(place.run(&[mode]).status.success(), "{mode}");
        assert_eq!(fs::read_to_string(place.path("own")).unwrap(), "mine\n", "{mode}");
        assert_eq!(place.entries(), ["before", "subject: record"], "{mode}");
        assert!(place.closing_line().contains("run finished in"));
    }
    let place = Place::new();
    assert_eq!(place.run(&["close_from"]).status.code(), Some(5));
    assert!(place.closing_line().contains("run ended"));
    assert_eq!(place.entries(), ["before", "after"]);
}

/// Numbers that were ours once are the user's files now: a forked child keeps them.
#[test]
fn a_forked_child_keeps_the_users_own_files() {
    let place = Place::new();
    place.run(&["close_from_fork"]);
    wait_for("the child's status", || place.log_text().contains("the child's status is "));
    assert_eq!(place.entries(), ["the child's status is 0"]);
}

#[test]
fn helpers_that_outlive_their_run_are_reaped_by_a_later_one() {
    let place = Place::new();
    let output = place.run(&["lingering"]);
    assert!(output.status.success() && !text(&output.stdout).contains("are left"), "{}", text(&output.stdout));
}

/// A forked child (no exec) that outlives the run neither ends it nor keeps its lock.
#[test]
fn a_forked_child_keeps_neither_lock_nor_run() {
    let place = Place::new();
    let status = place.subject(&["forked_child"]).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success());
    assert!(!place.is_locked());
    assert!(place.closing_line().contains("run finished in"));
    fs::write(place.path("go"), "").unwrap();
    wait_for("the child's words", || place.log_text().contains("[OUT  ] still there\n"));
    assert_eq!(place.log_text().matches("run ended").count(), 0, "the child's exit is not the run's");
}

#[test]
fn many_runs_in_a_busy_process_leave_nothing_behind() {
    let place = Place::new();
    let output = place.run(&["many", "200"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(place.log_text().matches("run finished in").count(), 200);
    let said = text(&output.stdout);
    assert!(said.ends_with("0 descriptors more\n0 zombies\n"), "{}", &said[said.len() - 60..]);
}

/// A closed standard descriptor at the start: the run is logged all the same.
#[test]
fn closed_standard_descriptors() {
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let place = Place::new();
        let script = format!("exec {} mixed_stderr 3 {closed}", env!("CARGO_BIN_EXE_subject"));
        let status =
            Command::new("sh").args(["-c", &script]).env("SUBJECT_DIR", place.path("")).output().unwrap().status;
        assert!(status.success(), "{closed}");
        assert_eq!(place.entries().len(), 9, "{closed}: {}", place.log_text());
    }
}

#[test]
fn a_refused_process_fails_closed() {
    let place = Place::new();
    let script = format!("ulimit -n 7; exec {} hold", env!("CARGO_BIN_EXE_subject"));
    let output = Command::new("sh").args(["-c", &script]).env("SUBJECT_DIR", place.path("")).output().unwrap();
    assert_eq!(output.status.code(), Some(73), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("raise the limit that was reached"), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "");
}
