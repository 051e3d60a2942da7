//! The helpers: whose children they are, and what they hold open.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::process::{Command, Stdio};

use support::{COLLECTOR, STANDBY, TestEnv, are_gone, helper, helpers, kill, text, wait_for};

#[test]
fn a_wait_loop_sees_only_its_own_children() {
    let env = TestEnv::new();
    assert!(env.run(&["wait_loop"]).status.success());
    assert_eq!(env.entries(), ["reaped 3"]);
}

#[test]
fn a_child_sees_the_standard_descriptors_only() {
    let env = TestEnv::new();
    assert!(env.run(&["child_descriptors"]).status.success());
    // What the test itself has inherited passes through, with us and without.
    let bare = Command::new("ls").arg("/proc/self/fd").stdin(Stdio::null()).output().unwrap();
    assert_eq!(env.entries(), text(&bare.stdout).lines().collect::<Vec<_>>());
}

/// The helpers hold streams, control, log and console open, and nothing that they inherited.
#[test]
fn helpers_keep_their_own_descriptors_only() {
    let env = TestEnv::new();
    let inherited = fs::File::create(env.path("inherited")).unwrap();
    let copy = std::os::fd::AsRawFd::as_raw_fd(&inherited);
    let mut command = env.subject(&["hold"]);
    // SAFETY: dup2 is async-signal-safe.
    #[allow(unsafe_code)]
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(&mut command, move || {
            libc::dup2(copy, 50);
            Ok(())
        });
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the run to start", || env.log_text().contains("] held\n") && helpers(child.id()).len() == 2);
    let both = helpers(child.id());
    for (helper, name) in &both {
        let open = || -> Vec<String> {
            let directory = fs::read_dir(format!("/proc/{helper}/fd")).unwrap();
            directory.filter_map(|entry| Some(fs::read_link(entry.ok()?.path()).ok()?.display().to_string())).collect()
        };
        wait_for("the helper to close what is not its own", || !open().iter().any(|path| path.contains("inherited")));
        let open = open();
        assert!(!open.iter().any(|path| path.contains("run.lock")), "{name} keeps the lock: {open:?}");
        assert!(open.len() <= 12, "{name}: {open:?}");
    }
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    let both: Vec<u32> = both.into_iter().map(|(helper, _)| helper).collect();
    wait_for("the helpers to end", || are_gone(&both));
}

/// No byte of ours in the file that user code has put in the place of a standard descriptor, and no hang.
#[test]
fn redirected_closed_and_closed_from() {
    for mode in ["redirect", "close"] {
        let env = TestEnv::new();
        assert!(env.run(&[mode]).status.success(), "{mode}");
        assert_eq!(fs::read_to_string(env.path("own")).unwrap(), "mine\n", "{mode}");
        assert_eq!(env.entries(), ["before", "subject::processes: record"], "{mode}");
        assert!(env.closing_line().contains("run finished in"));
    }
    let env = TestEnv::new();
    assert_eq!(env.run(&["close_from"]).status.code(), Some(5));
    assert!(env.closing_line().contains("run ended"));
    assert_eq!(env.entries(), ["before", "after"]);
}

/// How often `needle` is in the memory of a process (proc(5)), its main stack aside.
fn occurrences(pid: u32, needle: &[u8]) -> usize {
    let memory = fs::File::open(format!("/proc/{pid}/mem")).unwrap();
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let mut count = 0;
    for map in maps.lines().filter(|map| !map.ends_with("[stack]") && !map.ends_with("[vvar]")) {
        let (range, rest) = map.split_once(' ').unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let [start, end] = [start, end].map(|number| u64::from_str_radix(number, 16).unwrap());
        let mut bytes = vec![0; (end - start) as usize];
        // Some of the kernel's own cannot be read.
        if rest.starts_with('r') && std::os::unix::fs::FileExt::read_exact_at(&memory, &mut bytes, start).is_ok() {
            count += memchr::memmem::find_iter(&bytes, needle).count();
        }
    }
    count
}

/// What the run had in its memory before it began is not in that of its helpers.
#[test]
#[cfg_attr(guard_portable, ignore = "nothing is let go of there")]
#[cfg_attr(target_arch = "x86", ignore = "nothing is let go of there")]
fn the_helpers_have_none_of_the_runs_secrets() {
    let env = TestEnv::new();
    let mut command = env.subject(&["secrets"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the run", || env.log_text().contains("] held\n") && helpers(child.id()).len() == 2);
    let secret: Vec<u8> = (0..20_u8).map(|number| b'A' + number * 7 % 26).collect();
    let of_run = occurrences(child.id(), &secret);
    assert!(of_run > 100_000, "{of_run}");
    for (helper, name) in helpers(child.id()) {
        let of_helper = occurrences(helper, &secret);
        println!("{of_run} in the run, {of_helper} in {name}");
        assert_eq!(of_helper, 0, "{name}");
    }
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

/// Numbers that were ours once are the user's files now: a forked child keeps them.
#[test]
fn a_forked_child_keeps_the_users_own_files() {
    let env = TestEnv::new();
    env.run(&["close_from_fork"]);
    wait_for("the child's status", || env.log_text().contains("the child's status is "));
    assert_eq!(env.entries(), ["the child's status is 0"]);
    // Nor does the end of the run, whose lock had one of the numbers, empty one of them.
    for number in 0..40 {
        assert_eq!(fs::read_to_string(env.path(&format!("own{number}"))).unwrap(), "mine");
    }
}

#[test]
fn helpers_that_outlive_their_run_are_reaped_by_a_later_one() {
    let env = TestEnv::new();
    let output = env.run(&["lingering"]);
    assert!(output.status.success() && !text(&output.stdout).contains("are left"), "{}", text(&output.stdout));
}

/// A forked child (no exec) that outlives the run neither ends it nor keeps its lock.
#[test]
fn a_forked_child_keeps_neither_lock_nor_run() {
    let env = TestEnv::new();
    let status = env.subject(&["forked_child"]).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success());
    assert!(!env.is_locked());
    assert!(env.closing_line().contains("run finished in"));
    env.go();
    wait_for("the child's words", || env.log_text().contains("[OUT  ] still there\n"));
    assert_eq!(env.log_text().matches("run ended").count(), 0, "the child's exit is not the run's");
}

/// No helper hangs on a lock that a thread held at the fork.
fn many_runs_in_a_busy_process(runs: usize) {
    let env = TestEnv::new();
    let output = env.run(&["many", &runs.to_string()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(env.log_text().matches("run finished in").count(), runs);
    let said = text(&output.stdout);
    assert!(said.ends_with("0 descriptors more\n0 zombies\n"), "{}", &said[said.len() - 60..]);
}

#[test]
fn many_runs_leave_nothing_behind() {
    many_runs_in_a_busy_process(200);
}

#[test]
#[ignore = "takes a minute"]
fn a_thousand_runs_leave_nothing_behind() {
    many_runs_in_a_busy_process(1000);
}

/// A stopped standby cannot hold the end of a run up.
#[test]
fn a_stopped_standby() {
    let env = TestEnv::new();
    let mut child = env.holder();
    let standby = helper(child.id(), STANDBY);
    assert!(kill(standby, libc::SIGSTOP));
    drop(child.stdin.take());
    wait_for("the end", || child.try_wait().unwrap().is_some_and(|status| status.success()));
    assert!(env.closing_line().contains("run finished in") && !env.is_locked());
    assert!(kill(standby, libc::SIGKILL));
}

/// To free a file takes time: the standby has it open, so that the collector's rotation does not wait for that.
#[test]
fn the_standby_frees_what_a_rotation_removes() {
    let env = TestEnv::new();
    fs::create_dir(env.path("logs")).unwrap();
    (1..=60).for_each(|number| fs::write(env.path(&format!("logs/run.log.{number}")), "old\n").unwrap());
    let mut child = env.subject(&["rotations_until_go"]).stdout(Stdio::null()).spawn().unwrap();
    let standby = helper(child.id(), STANDBY);
    let holds = || {
        let Ok(directory) = fs::read_dir(format!("/proc/{standby}/fd")) else { return false };
        let targets = directory.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        targets.filter(|path| path.display().to_string().contains("run.log")).count() == 1
    };
    wait_for("the oldest backup in the standby's hands", holds);
    env.go();
    assert!(child.wait().unwrap().success());
    assert_eq!(env.log_files().len(), 61);
}

/// Kilobytes that the collector does not share with the run, at most.
#[test]
fn the_collector_is_small() {
    let env = TestEnv::new();
    let mut child = env.subject(&["flood_on", "50000"]).stdout(Stdio::null()).spawn().unwrap();
    let collector = helper(child.id(), COLLECTOR);
    let (mut most, mut samples) = (0, 0);
    while child.try_wait().unwrap().is_none() {
        let Ok(smaps) = fs::read_to_string(format!("/proc/{collector}/smaps_rollup")) else { continue };
        let kilobytes = |line: &str| -> Option<u64> { line.split_whitespace().nth(1)?.parse().ok() };
        most = most.max(smaps.lines().filter(|line| line.starts_with("Private_")).filter_map(kilobytes).sum());
        samples += 1;
        if samples == 10 {
            env.go();
        }
    }
    println!("{most} kB of private memory");
    assert!((1..4096).contains(&most));
}

/// Numbers that were ours once are the user's files now: no record lands there, and none is lost.
#[test]
fn records_do_not_land_in_the_users_own_files() {
    let env = TestEnv::new();
    assert!(env.run(&["records_among_own_files"]).status.success());
    for number in 0..=120 {
        let file = fs::read(env.path(&format!("own{number}"))).unwrap();
        assert!(file.is_empty(), "own{number}: {}", text(&file));
    }
    wait_for("the end", || env.log_text().contains("] printed\n"));
    assert_eq!(env.entries(), ["subject::processes: record before", "subject::processes: record", "printed"]);
}

/// A run that is over but for a child, and its helpers.
fn lingering(env: &TestEnv, program: &std::path::Path) -> Vec<u32> {
    let mut command = Command::new(program);
    command.arg("hold_with_child").env("SUBJECT_DIR", env.path("")).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.stderr(Stdio::null()).current_dir(env.path("")).spawn().unwrap();
    wait_for("both helpers", || env.log_text().contains("] held\n") && helpers(child.id()).len() == 2);
    let both = helpers(child.id()).into_iter().map(|(helper, _)| helper).collect();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    both
}

/// The directory that the run was started in may be unmounted, a log that was rotated away frees its room.
#[test]
fn a_lingering_helper_holds_neither_directory_nor_old_logs() {
    let env = TestEnv::new();
    let both = lingering(&env, env!("CARGO_BIN_EXE_subject").as_ref());
    let link = |helper: &u32, name: &str| {
        let target = fs::read_link(format!("/proc/{helper}/{name}"));
        target.map(|target| target.display().to_string()).unwrap_or_default()
    };
    for helper in &both {
        assert_eq!(link(helper, "cwd"), "/");
    }
    fs::remove_file(env.log()).unwrap();
    wait_for("the removed log to be closed", || {
        both.iter().all(|helper| {
            let Ok(open) = fs::read_dir(format!("/proc/{helper}/fd")) else { return true };
            let mut names = open.flatten().filter_map(|entry| entry.file_name().into_string().ok());
            !names.any(|name| link(helper, &format!("fd/{name}")).contains("run.log (deleted)"))
        })
    });
    env.go();
    wait_for("the helpers to end", || are_gone(&both));
}
