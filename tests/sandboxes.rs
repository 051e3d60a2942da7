//! What a run is not allowed to do: system calls that are refused, files that may not be read or changed.
#![allow(missing_docs)]
#![allow(unsafe_code, reason = "filters are system calls")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use support::{TestEnv, before_exec, forbid, is_root, logged, text, wait_for, wait_for_printed};

/// Nobody can be looked for without pidfds, but the run itself is our parent.
#[test]
fn a_hung_run_is_ended_without_pidfds() {
    for (end, signal, grace) in [("forever", "SIGTERM", "60000"), ("deaf", "SIGKILL", "300")] {
        let env = TestEnv::new();
        let mut command = env.subject(&["guarded"]);
        command.envs([("TIMEOUT", "300"), ("KILL_AFTER", grace), ("END", end)]).stdout(Stdio::null());
        let mut child = before_exec(&mut command, || forbid(&[libc::SYS_pidfd_open], libc::ENOSYS)).spawn().unwrap();
        wait_for(&format!("{end}: the end"), || child.try_wait().unwrap().is_some());
        let closing = env.closing_line();
        assert!(closing.ends_with(&format!("run timed out after 0.300s: ended by {signal}")), "{end}: {closing}");
    }
}

/// A sandbox that forbids what an older kernel does not know: sockets, pidfds, `close_range`, names.
#[test]
fn sandboxes() {
    let cases: [(&[libc::c_long], i32); 4] = [
        (&[libc::SYS_socket, libc::SYS_socketpair], libc::EAFNOSUPPORT),
        (&[libc::SYS_pidfd_open], libc::ENOSYS),
        (&[libc::SYS_close_range, libc::SYS_prctl], libc::EPERM),
        (&[libc::SYS_flock], libc::ENOLCK),
    ];
    for (calls, error) in cases {
        let env = TestEnv::new();
        let mut command = env.subject(&["exit", "5000"]);
        let output = before_exec(&mut command, move || forbid(calls, error)).output().unwrap();
        if calls == [libc::SYS_flock] {
            assert_eq!(output.status.code(), Some(73), "no lock, no run: {}", text(&output.stderr));
            continue;
        }
        assert_eq!(output.status.code(), Some(3), "{calls:?}: {}", text(&output.stderr));
        assert_eq!(text(&output.stdout).lines().count(), 5000);
        assert_eq!(logged(&env), (0..5000).collect::<Vec<_>>());
        assert!(env.closing_line().contains("run ended by process::exit"));
        // Killed while its console stalls: without a pidfd the end of the control pipe tells it.
        let env = TestEnv::new();
        env.make_counters();
        let mut command = env.subject(&["count", "1"]);
        let mut child = before_exec(command.stdout(Stdio::piped()), move || forbid(calls, error)).spawn().unwrap();
        wait_for_printed(&env, 20_000);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(env.closing_line().contains("run ended without finishing"));
        assert!(env.entries().len() as u64 >= env.counters()[0]);
    }
}

/// The console is a pipe of another user's, and there is no splice either: fed by hand.
#[test]
fn no_splice() {
    if !is_root() {
        return println!("not shown: takes root to run a program as another user");
    }
    let env = TestEnv::new();
    let mut command = env.subject_of_user(65_534, &["exit", "5000"]);
    let output = before_exec(&mut command, || forbid(&[libc::SYS_splice], libc::ENOSYS)).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 5000);
    assert_eq!(logged(&env), (0..5000).collect::<Vec<_>>());
    assert!(env.closing_line().contains("run ended by process::exit"));
}

/// A read-only root with a writable place for lock and log, as hardened services and containers have it.
#[test]
#[ignore = "needs root, to mount"]
fn a_read_only_root() {
    let env = TestEnv::new();
    let directory = env.path("").display().to_string();
    let script = format!(
        "mount --bind {directory} {directory} && mount -o remount,bind,ro / && ! touch /probe && exec {} flood 1000",
        env!("CARGO_BIN_EXE_subject")
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", &script]).env("SUBJECT_DIR", env.path("")).stdout(Stdio::null());
    assert!(command.stderr(Stdio::null()).status().unwrap().success());
    assert_eq!(logged(&env).len(), 1000);
}

/// Advice that root cannot follow is none: the file is marked as unchangeable (chattr(1)).
#[test]
#[ignore = "needs root and a file system with attributes"]
fn an_unchangeable_file() {
    let env = TestEnv::new();
    fs::create_dir(env.path("locks")).unwrap();
    fs::write(env.lock(), "").unwrap();
    let chattr = |flag: &str| Command::new("chattr").arg(flag).arg(env.lock()).status().unwrap().success();
    if !chattr("+i") {
        return println!("not shown: this file system has no such attribute");
    }
    let output = env.run(&["strict"]);
    assert!(chattr("-i"));
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(73), "{said}");
    assert!(said.contains("chattr") && !said.contains("run as a user who may write there"), "{said}");
}

/// qemu-user refuses a child without an exit signal.
#[test]
fn no_child_without_an_exit_signal() {
    let env = TestEnv::new();
    let mut command = env.subject(&["exit", "5000"]);
    let output = before_exec(&mut command, forbid_clone_without_exit_signal).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 5000);
    assert_eq!(logged(&env), (0..5000).collect::<Vec<_>>());
    assert!(env.closing_line().contains("run ended by process::exit"));
}

fn forbid_clone_without_exit_signal() {
    let statement = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |offset: u32| statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, offset);
    let equal = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    let answer = |value: u32| statement(libc::BPF_RET | libc::BPF_K, 0, 0, value);
    let mut filter = [
        load(0),
        statement(equal, 0, 4, libc::SYS_clone as u32),
        // The low half of its first argument: flags, and the exit signal in the last byte.
        load(16),
        statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, 0xFF),
        statement(equal, 0, 1, 0),
        answer(libc::SECCOMP_RET_ERRNO | libc::EINVAL as u32),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the filter lives until the kernel has copied it.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program), 0);
    }
}

/// What `>>` needs is enough: to write into the directory of the log, or to the log.
#[test]
#[cfg_attr(guard_portable, ignore = "a directory must be readable there")]
fn a_log_that_may_be_written_but_not_read() {
    if !is_root() {
        return println!("not shown: takes root to make files of another user");
    }
    for (directory, file) in [(0o733, None), (0o755, Some(0o622)), (0o733, Some(0o622))] {
        let env = TestEnv::new();
        fs::create_dir(env.path("logs")).unwrap();
        if let Some(mode) = file {
            fs::write(env.log(), "before\n").unwrap();
            fs::set_permissions(env.log(), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(env.path("logs"), fs::Permissions::from_mode(directory)).unwrap();
        let output = env.subject_of_user(65_534, &["flood", "100"]).output().unwrap();
        assert!(output.status.success(), "{directory:o} {file:?}: {}", text(&output.stderr));
        assert_eq!(logged(&env).len(), 100, "{directory:o} {file:?}");
        assert!(env.closing_line().contains("run finished in"));
    }
}
