//! The lock under attack: races, storms, hostile paths, injected errors, a thousand losers.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use support::{COLLECTOR, TestEnv, helper, helpers, is_root, kill, log_line, repeat, text, wait_for};

/// Eight processes take the lock for a while, another removes and renames the file as fast as it can.
fn race(milliseconds: u64) -> [u64; 3] {
    let env = TestEnv::new();
    let start = || env.subject(&["race", &milliseconds.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
    let racers: Vec<_> = (0..8).map(|_| start()).collect();
    let (path, aside) = (env.path("race.lock"), env.path("aside"));
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(milliseconds) {
        let _ = fs::remove_file(&path);
        std::thread::yield_now();
        let _ = fs::rename(&path, &aside);
    }
    let mut sums = [0; 3];
    for racer in racers {
        let output = racer.wait_with_output().unwrap();
        assert!(output.status.success());
        for (sum, number) in sums.iter_mut().zip(text(&output.stdout).split_whitespace()) {
            *sum += number.parse::<u64>().unwrap();
        }
    }
    sums
}

#[test]
fn no_two_holders_of_one_file() {
    let [sections, overlaps, after_removal] = race(3_000);
    println!("{sections} sections, {overlaps} overlaps on one file, {after_removal} after the holder's was removed");
    assert!(sections > 100 && overlaps == 0);
}

#[test]
#[ignore = "takes half a minute"]
fn no_two_holders_of_one_file_for_long() {
    let [sections, overlaps, after_removal] = race(30_000);
    println!("{sections} sections, {overlaps} overlaps on one file, {after_removal} after the holder's was removed");
    assert!(sections > 1000 && overlaps == 0);
}

/// The file is removed in between, by somebody who had better not: a lock on it would lock nobody out.
#[test]
#[ignore = "needs strace, to have the time for that"]
fn a_file_removed_between_its_opening_and_its_lock() {
    let env = TestEnv::new();
    let path = env.path("only.lock");
    let mut parent = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "-e", "inject=flock:delay_enter=3000000:when=1"])
        .args([env!("CARGO_BIN_EXE_subject"), "lock_only"])
        .env("SUBJECT_DIR", env.path(""))
        .stdin(Stdio::piped())
        .spawn()
        .expect("strace");
    wait_for("the lock file", || path.exists());
    fs::remove_file(&path).unwrap();
    wait_for("the lock", || env.path("forked").exists());
    assert!(path.exists(), "locked is what the path names");
    assert!(!Command::new("flock").arg("-n").arg(&path).arg("true").status().unwrap().success());
    env.go();
    drop(parent.stdin.take());
    assert!(parent.wait().unwrap().success());
}

#[test]
fn a_thousand_losers() {
    let env = TestEnv::new();
    let start = Instant::now();
    let mut holder = env.holder();
    let state = || {
        let file = fs::metadata(env.lock()).unwrap();
        (file.ino(), file.mode(), fs::read(env.lock()).unwrap())
    };
    let (before, mut touched) = (state(), 0);
    for _ in 0..50 {
        let modified = fs::metadata(env.lock()).unwrap().modified().unwrap();
        let loser = || env.subject(&["strict"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let losers: Vec<_> = (0..20).map(|_| loser()).collect();
        for loser in losers {
            let output = loser.wait_with_output().unwrap();
            assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(42), ""));
        }
        touched += u64::from(fs::metadata(env.lock()).unwrap().modified().unwrap() != modified);
    }
    assert_eq!(state(), before);
    assert!(touched <= start.elapsed().as_secs() / 60, "by nobody but the holder's helper");
    let log = env.log_text();
    let skipped: Vec<&str> = log.lines().filter(|line| line.contains("run skipped")).collect();
    let whole = |line: &&&str| {
        let text = log_line::text(line).unwrap();
        log_line::tag(line) == "[WARN ]" && text.starts_with("guard_runtime: run skipped: ") && line.ends_with("s ago")
    };
    assert_eq!((skipped.len(), skipped.iter().filter(whole).count()), (1000, 1000));
    drop(holder.stdin.take());
    assert!(holder.wait().unwrap().success());
}

#[test]
fn a_storm_of_signals() {
    let env = TestEnv::new();
    let output = env.run(&["signal_storm"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    println!("{}", text(&output.stdout));
}

/// The program as the user it runs as, or as an ordinary user where the test is root.
fn run_as(env: &TestEnv, ordinary: bool, mode: &str) -> Output {
    if !ordinary {
        return env.run(&[mode]);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", env!("CARGO_BIN_EXE_subject"), mode]);
    command.env("SUBJECT_DIR", env.path("")).stdin(Stdio::null()).output().expect("util-linux's setpriv")
}

fn open_to_all(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

#[test]
fn hostile_paths() {
    type Plant = fn(&TestEnv);
    let cases: [(&str, Plant, &str); 8] = [
        ("a link to a file", |env| symlink(env.path("victim"), env.lock()).unwrap(), "is a symbolic link"),
        ("a link to nothing", |env| symlink(env.path("nothing"), env.lock()).unwrap(), "is a symbolic link"),
        ("a FIFO", |env| assert!(Command::new("mkfifo").arg(env.lock()).status().unwrap().success()), "is a FIFO"),
        ("a directory", |env| fs::create_dir(env.lock()).unwrap(), "is a directory"),
        (
            "a socket",
            |env| drop(std::os::unix::net::UnixListener::bind(env.lock()).unwrap()),
            "is a socket or a device",
        ),
        ("a device", |env| drop(Command::new("mknod").arg(env.lock()).args(["c", "1", "3"]).status()), "is a "),
        (
            "a link to nothing in the place of the directory",
            |env| {
                fs::remove_dir(env.path("locks")).unwrap();
                symlink(env.path("nothing"), env.path("locks")).unwrap();
            },
            "cannot make the directory of the lock file",
        ),
        (
            "a file of another user in a sticky directory",
            |env| {
                fs::write(env.lock(), "precious").unwrap();
                std::os::unix::fs::chown(env.lock(), Some(12345), Some(12345)).unwrap();
                fs::set_permissions(env.lock(), fs::Permissions::from_mode(0o666)).unwrap();
                fs::set_permissions(env.path("locks"), fs::Permissions::from_mode(0o1777)).unwrap();
            },
            "in a directory where anybody may put files",
        ),
    ];
    for ordinary in [false, true] {
        if ordinary && !is_root() {
            continue;
        }
        for (name, plant, message) in &cases {
            if (name.starts_with("a file of another") || *name == "a device") && !is_root() {
                println!("not shown: {name} takes root to make");
                continue;
            }
            let env = TestEnv::new();
            fs::write(env.path("victim"), "precious").unwrap();
            fs::create_dir(env.path("locks")).unwrap();
            plant(&env);
            for open in ["", "locks"] {
                if env.path(open).symlink_metadata().unwrap().is_dir() && !name.contains("sticky") {
                    open_to_all(&env.path(open));
                }
            }
            open_to_all(&env.path(""));
            if env.lock().symlink_metadata().is_ok_and(|file| !file.is_symlink() && !file.is_dir()) {
                open_to_all(&env.lock());
            }
            let output = run_as(&env, ordinary, "strict");
            let said = text(&output.stderr);
            println!("{name}, {}: {}", if ordinary { "ordinary user" } else { "as we are" }, said.trim_end());
            assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(73), ""), "{name}: {said}");
            // The kernel may be first: fs.protected_regular (proc(5)), a file system that is mounted without devices.
            let open = || fs::File::options().append(true).create(true).open(env.lock());
            let refused = (name.contains("sticky") || *name == "a device")
                && open().is_err_and(|error| error.raw_os_error() == Some(13))
                && said.contains("(os error 13)");
            assert!((refused || said.contains(message)) && said.lines().count() == 1, "{name}: {said}");
            assert_eq!(fs::read_to_string(env.path("victim")).unwrap(), "precious");
            assert!(!env.path("nothing").exists());
            if name.contains("sticky") {
                assert_eq!(fs::read_to_string(env.lock()).unwrap(), "precious");
            }
        }
    }
}

/// Root takes over the job of a user whose lock file is there, in a directory of that user's, sticky or not; and the owner of
/// a directory where anybody may put files put it there.
#[test]
fn a_file_of_another_user_in_a_place_of_that_users() {
    if !is_root() {
        return println!("not shown: takes root to make such files");
    }
    for (mode, directory, file) in
        [(0o755, 12_345, 12_345), (0o755, 0, 12_345), (0o1755, 0, 12_345), (0o1777, 12_345, 12_345)]
    {
        let env = TestEnv::new();
        fs::create_dir(env.path("locks")).unwrap();
        fs::write(env.lock(), "").unwrap();
        std::os::unix::fs::chown(env.path("locks"), Some(directory), None).unwrap();
        std::os::unix::fs::chown(env.lock(), Some(file), None).unwrap();
        fs::set_permissions(env.path("locks"), fs::Permissions::from_mode(mode)).unwrap();
        let output = env.run(&["strict"]);
        assert_eq!(text(&output.stdout), "ran\n", "{mode:o}: {}", text(&output.stderr));
    }
}

#[test]
fn private_under_any_umask() {
    for umask in ["000", "022", "777"] {
        let env = TestEnv::new();
        open_to_all(&env.path(""));
        fs::create_dir(env.path("locks")).unwrap();
        fs::create_dir(env.path("logs")).unwrap();
        let script = format!("umask {umask}; exec {} strict", env!("CARGO_BIN_EXE_subject"));
        Command::new("sh").args(["-c", &script]).env("SUBJECT_DIR", env.path("")).output().unwrap();
        assert_eq!(fs::metadata(env.lock()).unwrap().mode() & 0o7777, 0o600, "umask {umask}");
    }
}

/// Whatever else flock says, it is neither held nor free.
#[test]
#[ignore = "needs strace"]
fn injected_errors() {
    for errno in ["ENOLCK", "EOPNOTSUPP", "ENOSYS", "EBADF", "EIO"] {
        let env = TestEnv::new();
        let output = Command::new("strace")
            .args(["-qq", "-o", "/dev/null", "-e", &format!("inject=flock:error={errno}")])
            .args([env!("CARGO_BIN_EXE_subject"), "strict"])
            .env("SUBJECT_DIR", env.path(""))
            .output()
            .expect("strace");
        let said = text(&output.stderr);
        println!("{errno}: {}", said.trim_end());
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(73), ""), "{errno}: {said}");
        assert!(said.contains("cannot lock the lock file") && said.contains(" mounted at /"), "{said}");
        assert!(!env.path("logs").exists(), "nothing but the lock file remains");
    }
    // Interrupted, it is tried again.
    let env = TestEnv::new();
    let output = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "-e", "inject=flock:error=EINTR:when=1..50"])
        .args([env!("CARGO_BIN_EXE_subject"), "strict"])
        .env("SUBJECT_DIR", env.path(""))
        .output()
        .expect("strace");
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(0), "ran\n"));
}

#[test]
fn a_forked_child_neither_releases_nor_keeps_the_lock() {
    let env = TestEnv::new();
    let path = env.path("only.lock");
    let is_free = || Command::new("flock").arg("-n").arg(&path).arg("true").status().unwrap().success();
    let mut parent = env.subject(&["lock_only"]).stdin(Stdio::piped()).spawn().unwrap();
    wait_for("the child", || env.path("forked").exists());
    assert!(!is_free(), "the child dropped its copy, and that released nothing");
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(is_free(), "the child lives on, and keeps nothing");
    env.go();

    // A run's end is seen though its child lives on; the lock is then kept for that by the helper, not by the child's copy.
    let env = TestEnv::new();
    let mut parent = env.subject(&["forked_child_hold"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    wait_for("the child's words", || env.log_text().contains("] from the child\n"));
    parent.kill().unwrap();
    parent.wait().unwrap();
    assert!(env.closing_line().contains("run ended without finishing"));
    wait_for("the helper's lock", || fs::read_to_string(env.lock()).unwrap().contains("left_of="));
    env.go();
    wait_for("the end of the child", || !env.is_locked());
}

/// Kills the run in so many ways; the next one takes the lock, and the file is the same.
#[test]
fn released_by_any_death() {
    for (mode, ends) in [("hold", 9), ("abort", libc::SIGABRT), ("exit", -3), ("panic", -101)] {
        repeat(50, |_| {
            let env = TestEnv::new();
            let mut child = env
                .subject(&[mode, "3"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            if mode == "hold" {
                wait_for("the holder to hold", || env.log_text().contains("] held\n"));
                child.kill().unwrap();
            }
            let status = child.wait().unwrap();
            assert_eq!(status.signal().unwrap_or_else(|| -status.code().unwrap()), ends, "{mode}");
            assert!(env.lock().exists());
            let next = env.run(&["strict"]);
            assert_eq!((next.status.code(), text(&next.stdout).as_str()), (Some(0), "ran\n"), "after {mode}");
        });
    }
}

/// The kernel's OOM killer takes the run, in a memory cgroup of its own; its helpers live to tell.
#[test]
#[ignore = "needs root and a memory cgroup"]
fn released_by_the_oom_killer() {
    let cgroup = Path::new("/sys/fs/cgroup/memory/guard-test");
    let is_there = cgroup.with_file_name("memory.limit_in_bytes").exists();
    if !is_there || fs::create_dir_all(cgroup).is_err() {
        return println!("not shown: no memory cgroup (version 1) that may be written to on this machine");
    }
    for _ in 0..50 {
        let env = TestEnv::new();
        fs::write(cgroup.join("memory.limit_in_bytes"), "20M").unwrap();
        let script =
            format!("echo $$ > {}/cgroup.procs; exec {} eat_memory", cgroup.display(), env!("CARGO_BIN_EXE_subject"));
        let status =
            Command::new("sh").args(["-c", &script]).env("SUBJECT_DIR", env.path("")).stdout(Stdio::null()).status();
        assert_eq!(status.unwrap().signal(), Some(9), "killed for its memory");
        assert!(env.lock().exists() && env.closing_line().contains("run ended without finishing"));
        let next = env.run(&["strict"]);
        assert_eq!((next.status.code(), text(&next.stdout).as_str()), (Some(0), "ran\n"));
    }
    wait_for("the cgroup to be empty", || fs::remove_dir(cgroup).is_ok());
}

/// A process that closes the lock's descriptor does not get the lock a second time.
#[test]
fn a_second_lock_after_a_closefrom() {
    let env = TestEnv::new();
    env.run(&["acquire_after_close_from"]);
    wait_for("both lines", || env.entries().len() == 2);
    assert_eq!(env.entries(), ["before", "refused"]);
}

/// Nor does another run get it, a moment later, while that one lives.
#[test]
fn another_run_after_a_closefrom() {
    let env = TestEnv::new();
    let command = &mut env.subject(&["hold_after_close_from"]);
    let mut holder = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    wait_for("the holder to hold", || env.log_text().contains("] held\n"));
    wait_for("the lock", || env.is_locked());
    assert_eq!(env.run(&["strict"]).status.code(), Some(42));
    assert!(env.is_locked(), "it stays");
    // Also where that helper is killed: its standby has a copy.
    let both = || helpers(holder.id()).len() == 2;
    wait_for("a standby", both);
    assert!(kill(helper(holder.id(), COLLECTOR), 9));
    assert!(env.is_locked(), "it stays");
    wait_for("a successor", both);
    assert!(env.is_locked(), "it stays");
    drop(holder.stdin.take());
    holder.wait().unwrap();
    wait_for("the end", || !env.is_locked());
    assert_eq!(text(&env.run(&["strict"]).stdout), "ran\n");
}

/// The copy of its parent's lock that a forked child drops has the number and the file of the child's own lock.
#[test]
fn a_daemon_that_takes_the_lock_anew() {
    let env = TestEnv::new();
    let mut command = env.subject(&["acquire_in_the_daemon"]);
    assert!(command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    wait_for("the daemon's lock", || env.path("taken").exists());
    let is_free = || Command::new("flock").arg("-n").arg(env.path("only.lock")).arg("true").status().unwrap().success();
    assert!(!is_free());
    env.go();
    wait_for("the end", is_free);
}
