#![allow(unsafe_code)]
use std::ffi::CString;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::*;

fn verdict() -> Verdict<'static> {
    Verdict {
        state: "killed",
        detail: b"killed by SIGKILL",
        exit_code: 137,
        signal: Some(9),
        started: Moment(1_771_552_305_123_456),
        elapsed: Some(Seconds(14_858_000)),
        pid: 4711,
        lock: b"/run/lock/a b.lock",
        log: b"/var/log/\xff.log",
        last_success: None,
    }
}

fn packed(verdict: &Verdict<'_>) -> Vec<u8> {
    let mut room = vec![0; VERDICT_ROOM];
    let mut out = Buffer::new(&mut room);
    verdict.write(&mut out).unwrap();
    out.to_vec()
}

struct Outcome {
    ended: Ended,
    printed: Vec<u8>,
    took: Duration,
}

/// Runs a hook to its end, or kills it after `timeout`, in a process of its own whose children are only the hook's.
fn outcome(command: &str, timeout: Duration) -> Outcome {
    outcome_in(command, c"/", timeout, || {})
}

fn outcome_in(command: &str, directory: &CStr, timeout: Duration, prepare: impl Fn()) -> Outcome {
    let command = CString::new(command).unwrap();
    let hook = Hook { command: &command, directory, environment: b"PATH=/usr/bin:/bin\0HOME=/root\0" };
    let verdict = packed(&verdict());
    let mut pointers = vec![ptr::null(); hook.pointers()];
    let mut room = vec![0; 64 * 1024];
    let file = tempfile::NamedTempFile::new().unwrap();
    let start = Instant::now();
    // SAFETY: the child makes system calls only: it allocates nothing and ends in _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        prepare();
        let mut running = Running::start(&hook, &verdict, &mut pointers).unwrap();
        let mut ended = loop {
            let [output, pidfd] = running.descriptors();
            let Some(either) = output.or(pidfd) else { break None };
            let mut polled = [either, pidfd.unwrap_or(either)]
                .map(|descriptor| rustix::event::PollFd::new(descriptor, rustix::event::PollFlags::IN));
            let patience = rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
            let _ = rustix::event::poll(&mut polled, Some(&patience));
            let count = running.read(&mut room);
            let _ = rustix::io::write(&file, &room[..count]);
            let ended = running.reap();
            if running.is_over() {
                break ended;
            }
            if start.elapsed() > timeout {
                break None;
            }
        };
        if ended.is_none() {
            ended = Some(running.kill());
            while let count @ 1.. = running.read(&mut room) {
                let _ = rustix::io::write(&file, &room[..count]);
            }
        }
        let code = match ended {
            Some(Ended::Exited(code)) => code,
            Some(Ended::Signaled { signal, .. }) => 128 + signal,
            _ => 99,
        };
        system::exit(code);
    }
    let mut status = 0;
    // SAFETY: waits for the child forked above.
    assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
    let took = start.elapsed();
    let Ended::Exited(code) = Ended::from_wait_status(status) else { panic!("the collector died: {status}") };
    let ended = match code {
        99 => Ended::Unknown,
        129.. => Ended::Signaled { signal: code - 128, core_dumped: false },
        code => Ended::Exited(code),
    };
    Outcome { ended, printed: fs::read(file.path()).unwrap(), took }
}

const LONG: Duration = Duration::from_secs(60);

fn printed(command: &str) -> String {
    let outcome = outcome(command, LONG);
    assert_eq!(outcome.ended, Ended::Exited(0), "{command}");
    String::from_utf8_lossy(&outcome.printed).into_owned()
}

#[test]
fn its_environment_is_the_runs_and_the_verdict() {
    let lines = printed("env | sort");
    for line in [
        "PATH=/usr/bin:/bin",
        "HOME=/root",
        "GUARD_STATE=killed",
        "GUARD_DETAIL=killed by SIGKILL",
        "GUARD_EXIT_CODE=137",
        "GUARD_SIGNAL=9",
        "GUARD_STARTED=2026-02-20T01:51:45.123456Z",
        "GUARD_SECONDS=14.858000",
        "GUARD_PID=4711",
        "GUARD_LOCK=/run/lock/a b.lock",
        "GUARD_LOG=/var/log/\u{fffd}.log",
        "GUARD_LAST_SUCCESS=",
    ] {
        assert!(lines.lines().any(|found| found == line), "{line} in {lines}");
    }
    assert_eq!(packed(&verdict()).split(|&byte| byte == 0).count() - 1, VERDICT_VARIABLES);
}

#[test]
fn it_has_three_descriptors_its_own_session_and_deaf_ears_for_sigterm_alone() {
    assert_eq!(printed("readlink /proc/self/fd/0"), "/dev/null\n");
    // The fourth is the directory that is being listed.
    assert_eq!(printed("ls /proc/self/fd").lines().count(), 4);
    // The shell itself leads both.
    let ids = printed("read pid name state parent group session rest < /proc/$$/stat; echo $pid $group $session");
    let ids: Vec<_> = ids.split_whitespace().collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let signals = printed("grep ^Sig /proc/self/status");
    let mask = |name: &str| {
        let line = signals.lines().find(|line| line.starts_with(name)).unwrap();
        u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap()
    };
    assert_eq!((mask("SigBlk"), mask("SigIgn")), (0, 1 << (libc::SIGTERM - 1)));
    assert_eq!(printed("kill -TERM $$; echo alive"), "alive\n");
}

#[test]
fn blocked_and_ignored_signals_of_a_collector_without_standard_descriptors() {
    let prepare = || {
        // SAFETY: system calls in a process of its own.
        unsafe {
            let mut all = std::mem::zeroed();
            libc::sigfillset(&raw mut all);
            libc::sigprocmask(libc::SIG_BLOCK, &raw const all, ptr::null_mut());
            libc::signal(libc::SIGCHLD, libc::SIG_IGN);
            libc::signal(libc::SIGPIPE, libc::SIG_IGN);
            for descriptor in 0..3 {
                libc::close(descriptor);
            }
        }
    };
    let outcome = outcome_in("grep -c '^SigBlk:.0*$' /proc/self/status; echo error >&2; exit 4", c"/", LONG, prepare);
    assert_eq!((outcome.ended, &*outcome.printed), (Ended::Exited(4), &b"1\nerror\n"[..]));
}

#[test]
fn its_directory_is_that_of_the_start_or_the_root() {
    let directory = tempfile::tempdir().unwrap();
    let path = CString::new(directory.path().to_str().unwrap()).unwrap();
    let run = |path: &CStr| outcome_in("pwd", path, LONG, || {}).printed;
    assert_eq!(String::from_utf8(run(&path)).unwrap().trim_end(), directory.path().to_str().unwrap());
    drop(directory);
    assert_eq!(run(&path), b"/\n");
}

#[test]
fn every_end() {
    for (command, expected) in [
        ("exit 0", Ended::Exited(0)),
        ("exit 3", Ended::Exited(3)),
        ("/no/such/program 2>/dev/null", Ended::Exited(127)),
        ("kill -KILL $$", Ended::Signaled { signal: 9, core_dumped: false }),
    ] {
        assert_eq!(outcome(command, LONG).ended, expected, "{command}");
    }
    assert!(String::from_utf8(outcome("/no/such/program", LONG).printed).unwrap().contains("not found"));
}

#[test]
fn it_may_print_a_lot() {
    let outcome = outcome("head -c 20000000 /dev/zero", LONG);
    assert_eq!((outcome.ended, outcome.printed.len()), (Ended::Exited(0), 20_000_000));
}

#[test]
fn one_that_never_ends_is_killed_with_all_its_children() {
    let directory = tempfile::tempdir().unwrap();
    let pids = directory.path().join("pids");
    // One in its session, one in its own, one whose parent is gone, one that ignores SIGTERM, and a fork in a loop.
    let script = format!(
        "note() {{ echo $1 >> {pids}; }}
         sleep 1000 & note $!
         setsid sleep 1001 & note $!
         (setsid sh -c 'echo $$ >> {pids}; sleep 1002' &)
         sh -c 'trap \"\" TERM; sleep 1003; sleep 1003' & note $!
         (while :; do sleep 1004 & sleep 0.01; done) & note $!
         until [ $(wc -l < {pids}) = 5 ]; do sleep 0.01; done
         echo before; while :; do sleep 1; done",
        pids = pids.display()
    );
    let outcome = outcome(&script, Duration::from_secs(3));
    assert_eq!(outcome.ended, Ended::Signaled { signal: 9, core_dumped: false });
    assert_eq!(outcome.printed, b"before\n");
    assert!(outcome.took < Duration::from_secs(20), "{:?}", outcome.took);
    let pids = fs::read_to_string(pids).unwrap();
    assert_eq!(pids.lines().count(), 5);
    for pid in pids.lines() {
        assert!(!Path::new("/proc").join(pid).exists(), "{pid} is alive");
    }
    let is_left = |entry: std::io::Result<fs::DirEntry>| {
        let command = fs::read(entry.unwrap().path().join("cmdline")).unwrap_or_default();
        command.starts_with(b"sleep\x001004") || command.starts_with(b"sleep\x001003")
    };
    assert!(!fs::read_dir("/proc").unwrap().any(is_left));
}

/// The shell has ended, but what it started holds the output: its status is known at once, and its time is the same.
#[test]
fn what_it_leaves_in_the_background_has_the_same_time() {
    let outcome = outcome("echo early; (sleep 0.3; echo late) & exit 5", LONG);
    assert_eq!((outcome.ended, &*outcome.printed), (Ended::Exited(5), &b"early\nlate\n"[..]));
    let outcome = self::outcome("sleep 1000 & exit 5", Duration::from_secs(3));
    assert_eq!(outcome.ended, Ended::Exited(5));
    assert!(outcome.took < Duration::from_secs(20), "{:?}", outcome.took);
}

#[test]
fn a_long_detail_is_cut_between_letters_and_has_no_nul() {
    let detail = "x".to_string() + &"é".repeat(4000);
    let text = packed(&Verdict { detail: detail.as_bytes(), ..verdict() });
    let value = text.split(|&byte| byte == 0).find_map(|variable| variable.strip_prefix(b"GUARD_DETAIL=")).unwrap();
    assert_eq!(std::str::from_utf8(value).unwrap(), "x".to_string() + &"é".repeat(2047));
    let text = packed(&Verdict { detail: b"a\0b", ..verdict() });
    assert!(text.windows(18).any(|part| part == b"GUARD_DETAIL=a?b\0G"));
    // Bytes that are no letters at all are cut somewhere.
    assert!(cut(&[0x80; 9000]).len() <= LONGEST_DETAIL);
    assert_eq!(cut(&[b'x'; LONGEST_DETAIL]).len(), LONGEST_DETAIL);
    assert_eq!(cut(b""), b"");
}

#[test]
fn an_array_that_is_too_short() {
    let hook = Hook { command: c"true", directory: c"/", environment: b"A=1\0B=2\0" };
    assert_eq!(hook.pointers(), 13);
    let mut pointers = vec![ptr::null(); 12];
    assert_eq!(Running::start(&hook, &packed(&verdict()), &mut pointers).unwrap_err(), Errno::TOOBIG);
    let mut pointers = vec![ptr::null(); 3];
    assert_eq!(point_at(&mut pointers, [hook.environment, b""]).unwrap().len(), 3);
}
