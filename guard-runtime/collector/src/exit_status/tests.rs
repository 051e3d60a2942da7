#![allow(unsafe_code)]
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use rustix::fd::AsFd;
use rustix::process::{PidfdFlags, pidfd_open};

use super::*;

struct Subject {
    child: Child,
    pid: Pid,
    pidfd: OwnedFd,
}

/// A child that nobody has reaped.
fn subject(command: &mut Command) -> Subject {
    let child = command.spawn().unwrap();
    let pid = Pid::from_raw(child.id() as i32).unwrap();
    Subject { child, pid, pidfd: pidfd_open(pid, PidfdFlags::empty()).unwrap() }
}

fn shell(script: &str) -> Subject {
    subject(Command::new("/bin/sh").args(["-c", script]))
}

impl Subject {
    fn wait_for_death(&self) {
        let minute = Timespec { tv_sec: 60, tv_nsec: 0 };
        assert_eq!(poll(&mut [PollFd::new(&self.pidfd, PollFlags::IN)], Some(&minute)), Ok(1));
    }

    fn ended(&self) -> Ended {
        self.wait_for_death();
        of(self.pidfd.as_fd(), self.pid)
    }

    fn reap(&mut self) {
        self.child.wait().unwrap();
    }
}

/// Does the kernel remember how a process ended that was reaped?
fn kernel_remembers() -> bool {
    let mut subject = shell("exit 3");
    subject.reap();
    ask(subject.pidfd.as_fd()) == Ok(Some(Ended::Exited(3)))
}

fn signaled(signal: i32) -> Ended {
    Ended::Signaled { signal, core_dumped: false }
}

fn without_core(ended: Ended) -> Ended {
    match ended {
        Ended::Signaled { signal, .. } => signaled(signal),
        ended => ended,
    }
}

#[test]
fn every_end_of_a_zombie_and_of_one_that_was_reaped() {
    assert_eq!(size_of::<PidfdInfo>(), 64);
    let remembers = kernel_remembers();
    let ends = [
        ("exit 0", Ended::Exited(0)),
        ("exit 3", Ended::Exited(3)),
        ("exit 255", Ended::Exited(255)),
        ("kill -TERM $$", signaled(libc::SIGTERM)),
        ("kill -KILL $$", signaled(libc::SIGKILL)),
        ("ulimit -c 0; kill -SEGV $$", signaled(libc::SIGSEGV)),
        ("ulimit -c 0; kill -ABRT $$", signaled(libc::SIGABRT)),
        ("kill -40 $$", signaled(40)),
    ];
    for (script, expected) in ends {
        let mut subject = shell(script);
        assert_eq!(without_core(subject.ended()), expected, "{script}, a zombie");
        subject.reap();
        let expected = if remembers { expected } else { Ended::Unknown };
        assert_eq!(without_core(subject.ended()), expected, "{script}, reaped");
    }
}

/// The code is that of the whole group, not that of the thread that was first.
#[test]
fn a_main_thread_that_ended_first() {
    let exit_by_another_thread = || {
        std::thread::spawn(|| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            // SAFETY: ends the process.
            unsafe { libc::_exit(7) }
        });
        // SAFETY: ends this thread alone.
        unsafe { libc::syscall(libc::SYS_exit, 0) };
        Ok(())
    };
    let mut command = Command::new("/bin/true");
    // SAFETY: never returns into the copy of the tests' process.
    let mut subject = subject(unsafe { command.pre_exec(exit_by_another_thread) });
    assert_eq!(subject.ended(), Ended::Exited(7));
    subject.reap();
}

#[test]
fn a_living_process_has_not_ended() {
    let mut subject = shell("sleep 60");
    assert_eq!(of(subject.pidfd.as_fd(), subject.pid), Ended::Unknown);
    subject.child.kill().unwrap();
    assert_eq!(subject.ended(), signaled(libc::SIGKILL));
    subject.reap();
}

/// Runs `look` in a process of its own, after `prepare`, and returns what it saw.
fn observed_by_another(prepare: impl Fn(), look: impl Fn() -> Ended) -> Ended {
    // SAFETY: the child makes system calls only.
    match unsafe { libc::fork() } {
        0 => {
            prepare();
            let code = match look() {
                Ended::Exited(code) => code,
                Ended::Signaled { signal, .. } => 100 + signal,
                Ended::Unknown => 99,
            };
            // SAFETY: ends the child.
            unsafe { libc::_exit(code) }
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for the child forked above.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            match Ended::from_wait_status(status) {
                Ended::Exited(99) => Ended::Unknown,
                Ended::Exited(code) if code > 100 => signaled(code - 100),
                ended => ended,
            }
        }
    }
}

/// As in a sandbox, and on kernels before 6.13: `ioctl` is refused.
fn forbid_ioctl() {
    let instruction = |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut filter = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, libc::SYS_ioctl as u32, 0, 1),
        instruction(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, 0, 0),
        instruction(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, 0, 0),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the program outlives the call.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program), 0);
    }
}

#[test]
fn without_the_question_a_zombie_tells_and_one_that_was_reaped_does_not() {
    for (script, expected) in [("exit 0", Ended::Exited(0)), ("exit 3", Ended::Exited(3)), ("kill -9 $$", signaled(9))]
    {
        let mut subject = shell(script);
        subject.wait_for_death();
        assert_eq!(observed_by_another(forbid_ioctl, || subject.ended()), expected, "{script}");
        subject.reap();
        assert_eq!(observed_by_another(forbid_ioctl, || subject.ended()), Ended::Unknown, "{script}, reaped");
    }
}

#[test]
#[ignore = "root"]
fn a_status_that_may_be_hidden_counts_only_once_it_is_known() {
    let become_nobody = || {
        // SAFETY: a system call, in a process of its own.
        assert_eq!(unsafe { libc::syscall(libc::SYS_setuid, 65_534) }, 0);
    };
    for (script, expected) in [("exit 0", Ended::Exited(0)), ("exit 3", Ended::Exited(3)), ("kill -9 $$", signaled(9))]
    {
        let mut subject = subject(Command::new("/bin/sh").uid(12_345).args(["-c", script]));
        subject.wait_for_death();
        // The zombie shows 0 to a stranger: it is not believed.
        assert_eq!(observed_by_another(become_nobody, || subject.ended()), Ended::Unknown, "{script}, a zombie");
        subject.reap();
        let expected = if kernel_remembers() { expected } else { Ended::Unknown };
        assert_eq!(observed_by_another(become_nobody, || subject.ended()), expected, "{script}, reaped");
    }
}

#[test]
#[ignore = "root"]
fn one_that_is_reaped_a_little_later_is_waited_for() {
    let become_nobody = || {
        // SAFETY: a system call, in a process of its own.
        assert_eq!(unsafe { libc::syscall(libc::SYS_setuid, 65_534) }, 0);
    };
    if !kernel_remembers() {
        return;
    }
    let mut subject = subject(Command::new("/bin/sh").uid(12_345).args(["-c", "exit 5"]));
    subject.wait_for_death();
    let (pidfd, pid) = (subject.pidfd.try_clone().unwrap(), subject.pid);
    let observer = std::thread::spawn(move || observed_by_another(become_nobody, || of(pidfd.as_fd(), pid)));
    std::thread::sleep(std::time::Duration::from_millis(20));
    subject.reap();
    assert_eq!(observer.join().unwrap(), Ended::Exited(5));
}

#[test]
fn a_program_name_with_everything_in_it() {
    let stat = |name: &str, state: &str, last: &str| format!("12 ({name}) {state}{} {last}\n", " 0".repeat(48));
    for name in ["sh", "a) Z 1 (b", ") )", "x\ny", ""] {
        assert_eq!(status_in_stat(stat(name, "Z", "768").as_bytes()), Some(768), "{name:?}");
    }
    assert_eq!(status_in_stat(stat("sh", "R", "768").as_bytes()), None);
    assert_eq!(status_in_stat(b"12 (sh) Z 1 2"), None);
    assert_eq!(status_in_stat(b""), None);
    assert_eq!(status_in_stat(b")"), None);
}

#[test]
fn words() {
    let text = |signal, core_dumped| Ended::Signaled { signal, core_dumped }.to_string();
    assert_eq!(text(libc::SIGKILL, false), "killed by SIGKILL");
    assert_eq!(text(libc::SIGTERM, false), "killed by SIGTERM");
    assert_eq!(text(libc::SIGABRT, false), "aborted (SIGABRT)");
    assert_eq!(text(libc::SIGSEGV, true), "crashed (SIGSEGV), core dumped");
    assert_eq!(text(libc::SIGBUS, false), "crashed (SIGBUS)");
    assert_eq!(text(40, false), "killed by signal 40");
    assert_eq!(Ended::Exited(3).to_string(), "exit code 3");
    assert_eq!(Ended::Unknown.to_string(), "killed or aborted");
}

#[test]
fn kills_are_counted_in_both_versions_of_control_groups() {
    assert_eq!(kills_in_events(b"low 0\nhigh 0\nmax 12\noom 1\noom_kill 3\noom_group_kill 0\n"), Some(3));
    assert_eq!(kills_in_events(b"oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"), Some(7));
    assert_eq!(kills_in_events(b"oom_kill_disable 1\n"), None);
    assert_eq!(kills_in_events(b"oom_kill x\n"), None);
    assert_eq!(kills_in_events(b""), None);
}
