//! Real processes: families of shells, strangers, daemons, a storm of forks beside them.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::string::{String, ToString};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::vec::Vec;
use std::{env, format, fs, println, thread, vec};

use rustix::fd::AsFd;

use core::sync::atomic::Ordering;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::members::PID_BITS;
use super::*;

/// A child of another test has a copy of everything for a moment, between fork and exec: it would be of the family.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A shell whose standard output is a captured stream.
struct Shell {
    child: Child,
    pidfd: OwnedFd,
    reader: BufReader<File>,
    stream: StreamId,
    began: u64,
    /// Of the processes that have said so: `name pid`.
    pids: HashMap<String, i32>,
    _alone: MutexGuard<'static, ()>,
}

impl Shell {
    /// Runs the script until it says `ready`.
    fn start(script: &str) -> Self {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).unwrap();
        let stream = StreamId::of(&rustix::fs::fstat(&writer).unwrap()).unwrap();
        Self::start_on(script, alone, reader.into(), writer, stream)
    }

    fn start_on(script: &str, alone: MutexGuard<'static, ()>, reader: File, writer: OwnedFd, stream: StreamId) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(writer).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        drop(command);
        let pid = child.id() as i32;
        let pidfd = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
        let (began, reader) = (birth(pid).unwrap(), BufReader::new(reader));
        let mut shell = Self { child, pidfd, reader, stream, began, pids: HashMap::new(), _alone: alone };
        shell.read_until("ready");
        shell
    }

    /// Runs the script until it has said `ready` and its processes so many names.
    fn start_named(script: &str, names: usize) -> Self {
        let mut shell = Self::start(script);
        while shell.pids.len() < names {
            shell.read_line();
        }
        shell
    }

    /// With all of `EVERY_KIND`, each as what it becomes.
    fn with_every_kind() -> Self {
        let shell = Self::start_named(EVERY_KIND, KINDS.len() + 1);
        let name = |name, expected| shell.name(name) == expected;
        let is_done = || {
            ["child", "session", "daemon", "gone"].into_iter().all(|each| name(each, "sleep"))
                && name("chatty", "yes")
                && state(shell.pids["stopped"]) == Some('T')
                && ["deaf", "silent"].into_iter().all(|parent| shell.has_sleeping_child(parent))
        };
        wait_for("every kind", is_done);
        shell
    }

    fn name(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/comm", self.pids[name])).unwrap_or_default().trim_end().to_string()
    }

    fn has_sleeping_child(&self, parent: &str) -> bool {
        let proc = Proc::open().unwrap();
        let pids =
            fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let stats = pids.filter_map(|pid| proc.stat(pid).ok().flatten());
        stats.into_iter().any(|stat| stat.parent == self.pids[parent] && stat.name.bytes() == b"sleep")
    }

    /// A name and a pid, or something else.
    fn read_line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.reader.read_line(&mut line).unwrap(), 0, "it says more");
        if let Some((name, pid)) = line.trim_end().split_once(' ') {
            self.pids.insert(name.to_string(), pid.parse().unwrap());
        }
        line.trim_end().to_string()
    }

    fn read_until(&mut self, last: &str) {
        while self.read_line() != last {}
    }

    fn run(&self) -> Run<'_> {
        let process = Some((self.child.id() as i32, self.pidfd.as_fd()));
        Run { process, began: self.began, streams: [Some(self.stream), None], helpers: &[] }
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn assert_living(&self, names: &[&str], expected: bool) {
        for name in names {
            let pid = self.pids[*name];
            let done = || is_living(pid) == expected;
            wait_for(&format!("{name} ({pid}) to be living: {expected}"), done);
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        self.end();
        for pid in self.pids.values() {
            // SAFETY: a process of this test.
            unsafe { libc::kill(*pid, libc::SIGKILL) };
        }
    }
}

struct Memory {
    table: Vec<MaybeUninit<Member>>,
    entries: Vec<MaybeUninit<u8>>,
    left: Vec<AtomicU64>,
}

impl Memory {
    fn with_room(members: usize) -> Self {
        let table = (0..members).map(|_| MaybeUninit::uninit()).collect();
        let left = (0..members).map(|_| AtomicU64::new(0)).collect();
        Self { table, entries: vec![MaybeUninit::uninit(); 64 * 1024], left }
    }

    fn family(&mut self) -> Family<'_> {
        Family::new(FamilyMemory { table: &mut self.table, entries: &mut self.entries, left: &self.left })
    }
}

fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited in vain for {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn state(pid: i32) -> Option<char> {
    fs::read_to_string(format!("/proc/{pid}/stat")).ok()?.rsplit_once(") ")?.1.chars().next()
}

fn is_living(pid: i32) -> bool {
    !matches!(state(pid), None | Some('Z' | 'X'))
}

/// Scans until nothing new is found; returns how many were.
fn scan_all(family: &mut Family<'_>, run: &Run<'_>, signal: Option<Signal>) -> usize {
    let mut all = 0;
    for _ in 0..100 {
        match family.scan(run, Whom::FamilyAndStrangers, signal).unwrap().new {
            0 => return all,
            new => all += new,
        }
    }
    panic!("no end of new processes");
}

fn names(family: &Family<'_>) -> String {
    let mut room = [0; 1024];
    let mut text = Buffer::new(&mut room);
    family.describe(&mut text);
    String::from_utf8(text.to_vec()).unwrap()
}

const EVERY_KIND: &str = r#"
    sh -c 'echo "child $$"; exec sleep 1000' &
    sh -c 'trap "" TERM; echo "deaf $$"; while :; do sleep 1000; done' &
    setsid sh -c 'echo "session $$"; exec sleep 1000' &
    (setsid sh -c 'echo "daemon $$"; exec sleep 1000' &)
    sh -c 'echo "silent $$"; exec >/dev/null; sleep 1000 & wait' &
    sh -c 'echo "stopped $$"; kill -STOP $$; exec sleep 1000' &
    sh -c 'echo "chatty $$"; exec >/dev/null; exec yes' &
    (sh -c 'echo "gone $$"; exec >/dev/null; exec sleep 1000' &)
    echo ready; wait; wait; exec sleep 1000"#;
const KINDS: [&str; 7] = ["child", "deaf", "session", "daemon", "silent", "stopped", "chatty"];

#[test]
fn every_kind_of_process_is_ended() {
    let mut shell = Shell::with_every_kind();
    let mut memory = Memory::with_room(100);
    let mut family = memory.family();
    // Those, and what two of them wait for.
    assert!(scan_all(&mut family, &shell.run(), None) >= KINDS.len() + 2);
    // Nothing is done to them by looking.
    shell.assert_living(&KINDS, true);
    let text = names(&family);
    assert!(text.contains(&format!("pid {} (sleep)", shell.pids["daemon"])), "{text}");

    // The run's death takes nobody out of the family.
    shell.end();
    assert_eq!(family.signal(Signal::TERM).refused, 0);
    family.signal(Signal::CONT);
    shell.assert_living(&["child", "session", "daemon", "silent", "stopped", "chatty"], false);
    shell.assert_living(&["deaf"], true);
    let run = Run { process: None, ..shell.run() };
    scan_all(&mut family, &run, None);
    assert!(family.living() >= 1);
    family.signal(Signal::KILL);
    shell.assert_living(&KINDS, false);
    wait_for("all to be gone", || family.living() == 0);
    assert_eq!(names(&family), "no process of this run lives on");
    // It gave up the stream and its parent: beyond reach, and said to be.
    shell.assert_living(&["gone"], true);
}

#[test]
fn after_the_run_only_holders_and_their_children_are_found() {
    let mut shell = Shell::with_every_kind();
    shell.end();
    let run = Run { process: None, ..shell.run() };
    let mut memory = Memory::with_room(100);
    let mut family = memory.family();
    scan_all(&mut family, &run, None);
    let mut pids: Vec<i32> = family.family().map(|member| member.pid).collect();
    let deaf_sleep = family.family().filter(|member| member.name.bytes() == b"sleep").count();
    pids.retain(|pid| shell.pids.values().any(|known| known == pid));
    let mut expected: Vec<i32> =
        ["child", "deaf", "session", "daemon", "stopped"].iter().map(|name| shell.pids[*name]).collect();
    expected.sort_unstable();
    assert_eq!(pids, expected);
    assert_eq!(deaf_sleep, 4, "one of them is a holder's child");
    family.signal(Signal::KILL);
    shell.assert_living(&["silent", "chatty", "gone"], true);
}

/// Neither a process that had the stream before the run began, nor one of another run's helpers; nor PID 1, nor we.
#[test]
fn strangers_are_named_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let helper = directory.path().join("guard-collector");
    fs::copy("/bin/sleep", &helper).unwrap();
    let mut shell = Shell::start_named("sh -c 'echo \"stranger $$\"; sleep 1000; :' & echo ready; exec sleep 1000", 1);
    wait_for("the stranger's child", || shell.has_sleeping_child("stranger"));
    // Births are told in hundredths of a second.
    thread::sleep(Duration::from_millis(30));
    let mut command = Command::new(&helper);
    // SAFETY: system calls alone.
    unsafe {
        command.pre_exec(|| {
            let mut all = MaybeUninit::<libc::sigset_t>::uninit();
            libc::sigfillset(all.as_mut_ptr());
            libc::sigprocmask(libc::SIG_SETMASK, all.as_ptr(), core::ptr::null_mut());
            Ok(())
        });
    }
    let writer = fs::OpenOptions::new().write(true).open(format!("/proc/{}/fd/1", shell.child.id())).unwrap();
    let mut helper = command.arg("1000").stdout(writer.try_clone().unwrap()).spawn().unwrap();
    let mut child = Command::new("sleep").arg("1000").stdout(writer).spawn().unwrap();
    drop(command);
    shell.end();
    let mut memory = Memory::with_room(100);
    let run = Run { process: None, began: birth(child.id() as i32).unwrap(), ..shell.run() };
    let mut family = memory.family();
    assert_eq!(scan_all(&mut family, &run, None), 1);
    let text = names(&family);
    let expected = format!(
        "1 process of this run lives on: pid {} (sleep); not started by it, but with its output open: pid {} (sh)",
        child.id(),
        shell.pids["stranger"]
    );
    assert!(text.starts_with(&expected), "{text}\n{expected}");
    assert_eq!(family.signal(Signal::KILL), Sent { sent: 1, refused: 0 });
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    shell.assert_living(&["stranger"], true);
    assert_eq!(helper.try_wait().unwrap(), None);
    helper.kill().unwrap();
    helper.wait().unwrap();
}

/// More processes than places, and no pidfds to keep: several passes, and all are gone.
#[test]
fn a_small_table_takes_several_passes() {
    for (places, pidfds) in [(4, 100), (100, 3), (4, 0), (1, 0)] {
        let script = "for i in 1 2 3 4 5 6 7 8; do sh -c 'trap \"\" TERM; echo \"deaf'$i' $$\"; sleep 1000; :' & done
            echo ready; wait";
        let mut shell = Shell::start_named(script, 8);
        assert_eq!(shell.pids.len(), 8);
        wait_for("their children", || shell.pids.keys().all(|name| shell.has_sleeping_child(name)));
        let mut memory = Memory::with_room(places);
        let mut family = memory.family();
        family.members.pidfds_left = pidfds;
        family.members.limit_is_known = true;
        let found = family.scan(&shell.run(), Whom::Family, None).unwrap();
        assert_eq!(found.without_room > 0, places < 16, "{found:?}");
        shell.end();
        let run = Run { process: None, ..shell.run() };
        wait_for("nothing to be left", || {
            family.signal(Signal::KILL);
            let found = family.scan(&run, Whom::Family, Some(Signal::KILL)).unwrap();
            found.new == 0 && family.living() == 0
        });
        let all: Vec<String> = shell.pids.keys().cloned().collect();
        shell.assert_living(&all.iter().map(String::as_str).collect::<Vec<_>>(), false);
    }
}

#[test]
fn the_dead_make_room_and_their_numbers_are_nobodys() {
    let mut shell = Shell::start_named(
        "for i in 1 2 3; do sh -c 'echo \"child'$i' $$\"; exec sleep 1000' & done
        echo ready; exec sleep 1000",
        3,
    );
    let mut memory = Memory::with_room(100);
    let mut family = memory.family();
    assert!(scan_all(&mut family, &shell.run(), None) >= 3);
    let first = shell.pids["child1"];
    let index = family.members.find(first).unwrap();
    // Another process has the number now: born at another time.
    family.members.known_mut()[index].pidfd = None;
    family.members.known_mut()[index].birth += 1;
    let before = family.family().count();
    assert_eq!(family.signal(Signal::TERM).sent, before - 1);
    shell.assert_living(&["child2", "child3"], false);
    shell.assert_living(&["child1"], true);
    shell.end();
    assert_eq!(family.living(), 0, "the number is forgotten too");
}

#[test]
fn a_terminal_is_told_from_others_of_the_same_number() {
    let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let open = || {
        let (mut ours, mut theirs) = (0, 0);
        let null = core::ptr::null_mut();
        // SAFETY: two numbers are written.
        let result = unsafe { libc::openpty(&raw mut ours, &raw mut theirs, null, null.cast(), null.cast()) };
        assert_eq!(result, 0);
        [ours, theirs].map(|number| {
            // SAFETY: made just now, nobody else's.
            let terminal = unsafe { <OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(number) };
            rustix::io::fcntl_setfd(&terminal, rustix::io::FdFlags::CLOEXEC).unwrap();
            terminal
        })
    };
    let ([ours, theirs], [_other, others]) = (open(), open());
    let stream = StreamId::of(&rustix::fs::fstat(&theirs).unwrap()).unwrap();
    let mut bystander = Command::new("sleep").arg("1000").stdout(others).spawn().unwrap();
    let shell = Shell::start_on(
        "(setsid sh -c 'echo \"daemon $$\"; echo ready; exec sleep 1000' &) ; exec sleep 1000",
        alone,
        ours.into(),
        theirs,
        stream,
    );
    let mut memory = Memory::with_room(100);
    let mut family = memory.family();
    let run = Run { process: None, ..shell.run() };
    scan_all(&mut family, &run, None);
    let known = |pid: i32| family.members.find(pid).is_ok();
    assert!(known(shell.pids["daemon"]));
    assert!(!known(bystander.id() as i32));
    let other = StreamId::Terminal {
        file_system: 0,
        device: match stream {
            StreamId::Terminal { device, .. } => device,
            StreamId::Pipe { .. } => 0,
        },
    };
    let run = Run { streams: [None, Some(other)], ..run };
    let mut memory = Memory::with_room(100);
    assert_eq!(memory.family().scan(&run, Whom::Family, None).unwrap().new, 0, "the same number in another container");
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

/// Its first thread has ended; /proc shows the process as a zombie without descriptors.
#[test]
fn a_process_without_its_first_thread_is_found() {
    extern "C" fn wait(_: *mut libc::c_void) -> *mut libc::c_void {
        loop {
            // SAFETY: waits.
            unsafe { libc::pause() };
        }
    }
    let shell = Shell::start("echo ready; exec sleep 1000");
    let writer = fs::OpenOptions::new().write(true).open(format!("/proc/{}/fd/1", shell.child.id())).unwrap();
    // SAFETY: the child makes system calls and a thread.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        // SAFETY: the thread lives as long as the process.
        unsafe {
            let mut thread = MaybeUninit::uninit();
            libc::pthread_create(thread.as_mut_ptr(), core::ptr::null(), wait, core::ptr::null_mut());
            libc::syscall(libc::SYS_exit, 0);
        }
    }
    drop(writer);
    wait_for("the first thread to end", || state(pid) == Some('Z'));
    let mut memory = Memory::with_room(100);
    let mut family = memory.family();
    let run = Run { process: None, ..shell.run() };
    scan_all(&mut family, &run, None);
    assert!(family.members.find(pid).is_ok());
    assert_eq!(family.signal(Signal::KILL).sent, family.family().count());
    let mut status = 0;
    // SAFETY: this test's child.
    assert_eq!(unsafe { libc::waitpid(pid, &raw mut status, 0) }, pid);
    assert!(libc::WIFSIGNALED(status));
}

/// The run and the parents are dead by then, and nothing but what was left tells whose they are.
#[test]
fn a_standby_knows_whom_the_dead_collector_knew() {
    let mut shell = Shell::with_every_kind();
    let mut memory = Memory::with_room(100);
    let mut family = memory.family();
    let known = scan_all(&mut family, &shell.run(), None);
    shell.end();
    drop(family);
    let born_later = memory.left.iter().find(|left| left.load(Ordering::Relaxed) != 0).unwrap();
    born_later.fetch_add(1 << PID_BITS, Ordering::Relaxed);
    let mut family = memory.family();
    family.recall();
    assert_eq!(family.living(), known - 1, "all but the one whose number another process has");
    family.signal(Signal::KILL);
    wait_for("all to be gone", || family.living() == 0);
    drop(family);
    assert!(memory.left.iter().all(|left| left.load(Ordering::Relaxed) == 0));
}

#[test]
fn the_descriptor_limit_is_put_back() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let before = getrlimit(Resource::Nofile);
    let low = Rlimit { current: Some(200), ..before };
    setrlimit(Resource::Nofile, low).unwrap();
    let mut memory = Memory::with_room(500);
    let mut family = memory.family();
    family.recall();
    let raised = getrlimit(Resource::Nofile);
    drop(family);
    let after = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, before).unwrap();
    assert_eq!((raised.current, after.current), (before.maximum, Some(200)));
}

#[test]
fn names_are_cut_and_harmless() {
    let member = |pid: i32, name: &[u8]| {
        let line = [
            format!("{pid} (").as_bytes(),
            name,
            b") S 1 1 1 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 1 0 7 0 0 0 0 0 0 0 0 0 0 0",
        ]
        .concat();
        Member { pid, name: Stat::parse(&line).unwrap().name, kin: Kin::Holder, ..Member::EMPTY }
    };
    let mut memory = Memory::with_room(100);
    let mut family = memory.family();
    for pid in 1..=22 {
        let Ok(()) = family.members.insert(member(4700 + pid, b"a) \n\x1b[2J(\xff")) else { panic!() };
    }
    let text = names(&family);
    assert!(text.starts_with("22 processes of this run live on: pid 4701 (a) ??[2J(?), pid 4702 ("), "{text}");
    assert!(text.ends_with(", pid 4710 (a) ??[2J(?) and 12 more"), "{text}");
    for room in 0..200 {
        let mut room_for_it = vec![0; room];
        let mut buffer = Buffer::new(&mut room_for_it);
        family.names(&mut buffer);
        let text = String::from_utf8(buffer.to_vec()).unwrap();
        assert!(room < 20 || text.ends_with(" more"), "{room}: {text}");
    }
}

#[test]
fn a_line_of_stat_is_read_or_refused() {
    let line = "77 (a (b) c) R 5 77 77 0 -1 4194560 94 0 0 0 0 0 0 0 20 0 3 0 4711 2928640 227 18446744073709551615 1 1 0 \
                0 0 0 12 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
    let stat = Stat::parse(line.as_bytes()).unwrap();
    assert_eq!((stat.name.bytes(), stat.parent, stat.birth), (&b"a (b) c"[..], 5, 4711));
    assert!(!stat.is_dead() && !stat.is_kernel_thread() && !stat.is_helper());
    for length in 0..line.find(" 4096").unwrap() - 3 {
        assert_eq!(Stat::parse(&line.as_bytes()[..length]), None, "{length}");
    }
    // SAFETY: no question, no harm.
    let own = unsafe { libc::getpid() };
    assert_eq!(birth(own), Some(Proc::open().unwrap().stat(own).unwrap().unwrap().birth));
    assert_eq!(birth(-1), None);
    assert_eq!(birth(i32::MAX), None);
}

/// This test program once more, in one of the programs below, with a prefix such as `unshare`.
fn program(prefix: &[&str], name: &str) -> Command {
    let mut command = Command::new(prefix.first().copied().unwrap_or("env"));
    command.args(prefix.iter().skip(1)).arg(env::current_exe().unwrap());
    command.args(["--exact", &format!("family::tests::{name}"), "--ignored", "--nocapture", "--test-threads", "1"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

#[test]
#[ignore = "a program for the tests"]
fn scans_once() {
    let began = birth(std::process::id() as i32).unwrap_or(0);
    let run = Run { process: None, began, streams: [None, None], helpers: &[] };
    println!("scan: {:?}", Memory::with_room(10).family().scan(&run, Whom::Family, None));
}

#[test]
#[ignore = "needs root"]
fn a_proc_of_another_namespace_is_refused() {
    for (prefix, expected) in [
        (&["unshare", "--pid", "--fork"][..], "scan: Err(NoProc)"),
        (&["unshare", "--pid", "--fork", "--mount-proc"], "scan: Ok("),
        (&["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /proc && exec \"$0\" \"$@\""], "scan: Err(NoProc)"),
    ] {
        let output = program(prefix, "scans_once").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(expected), "{prefix:?}: {text}");
    }
}

#[test]
#[ignore = "a program for the tests"]
fn scans_and_signals() {
    let argument = |name: &str| env::var(name).unwrap().parse::<u64>().unwrap();
    let pid = argument("RUN") as i32;
    let pidfd = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()).unwrap();
    let streams = [Some(StreamId::Pipe { inode: argument("INODE") }), None];
    let run = Run { process: Some((pid, pidfd.as_fd())), began: birth(pid).unwrap(), streams, helpers: &[] };
    let mut memory = Memory::with_room(100);
    let mut family = memory.family();
    let found = family.scan(&run, Whom::FamilyAndStrangers, None).unwrap();
    println!("unreadable: {}, {:?}, {}", found.unreadable, family.signal(Signal::KILL), names(&family));
}

/// An ordinary user's run with a child of root's, as sudo(8) makes one, and a daemon of root's that holds the stream.
#[test]
#[ignore = "needs root"]
fn what_may_not_be_looked_at_counts_by_descent_and_is_named_so() {
    let shell = Shell::start(
        "setpriv --reuid 65534 sh -c 'echo \"own $$\"; exec sleep 1000' & sh -c 'echo \"root $$\"; exec sleep 1000' &
            (setsid sh -c 'echo \"daemon $$\"; exec sleep 1000' &) ; sleep 0.3; echo ready; exec sleep 1000",
    );
    let StreamId::Pipe { inode } = shell.stream else { panic!() };
    let mut program = program(&[], "scans_and_signals");
    let output = program
        .env("RUN", shell.child.id().to_string())
        .env("INODE", inode.to_string())
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Sent { sent: 1, refused: 1 }"), "{text}");
    assert!(text.contains(&format!("pid {} (sleep, may not be signalled)", shell.pids["root"])), "{text}");
    assert!(!text.contains("unreadable: 0,") && text.contains("unreadable: "), "{text}");
    shell.assert_living(&["own"], false);
    shell.assert_living(&["root", "daemon"], true);
}

/// Forks without pause, as fast as it can, until its standard input ends; says how many of its processes a signal ended.
#[test]
#[ignore = "a program for the tests"]
fn storms() {
    let stdin = std::io::stdin();
    let mut polled = [PollFd::new(&stdin, PollFlags::IN)];
    let (mut forks, mut hits) = (0, 0);
    while poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0) {
        // SAFETY: the child ends at once.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: as above. It lives for a moment, so that there is somebody to hit.
            unsafe {
                libc::usleep(200);
                libc::_exit(0)
            };
        }
        forks += 1;
        let mut status = 0;
        // SAFETY: this process's child.
        unsafe { libc::waitpid(pid, &raw mut status, 0) };
        hits += i32::from(libc::WIFSIGNALED(status));
    }
    println!("storm: {forks} forks, {hits} hits");
}

/// Children of the run die in every moment of a scan and of the signals, and a storm takes their numbers.
#[test]
#[ignore = "a minute; best as root"]
fn no_process_of_a_storm_is_hit() {
    // Since Linux 6.14 a pid namespace has a limit of its own: with 400 numbers each is used again within a second.
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let version: Vec<u32> = release.split('.').filter_map(|part| part.parse().ok()).collect();
    if rustix::process::geteuid().is_root() && version >= vec![6, 14] {
        // The shell is the namespace's init: it reaps what has lost its parent.
        let lowered = "echo 400 >/proc/sys/kernel/pid_max && \"$0\" \"$@\"; exit $?";
        let prefix = ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", lowered];
        let output = program(&prefix, "families_beside_a_storm").output().unwrap();
        println!("{}", String::from_utf8_lossy(&output.stdout));
        assert!(output.status.success());
    } else {
        families_beside_a_storm();
    }
}

#[test]
#[ignore = "a program for the tests"]
fn families_beside_a_storm() {
    let mut storms: Vec<Child> = (0..2).map(|_| program(&[], "storms").spawn().unwrap()).collect();
    let start = Instant::now();
    let (mut rounds, mut sent) = (0, 0);
    while start.elapsed() < Duration::from_secs(60) {
        let script = "for i in 1 2 3 4 5 6 7 8 9; do for j in 1 2 3; do sleep 0.0$i & done; done; (setsid sleep 0.05 &)
            sleep 1000 & echo ready; wait";
        let mut shell = Shell::start(script);
        let mut memory = Memory::with_room(100);
        let mut family = memory.family();
        family.members.pidfds_left = if rounds % 2 == 0 { 100 } else { 5 };
        family.members.limit_is_known = true;
        let run = shell.run();
        for _ in 0..3 {
            family.scan(&run, Whom::Family, None).unwrap();
            sent += family.signal(Signal::CONT).sent;
        }
        thread::sleep(Duration::from_millis(rounds % 120));
        sent += family.signal(Signal::KILL).sent;
        wait_for("nothing to be left", || {
            family.signal(Signal::KILL);
            family.scan(&shell.run(), Whom::Family, Some(Signal::KILL)).unwrap().new == 0 && family.living() == 0
        });
        drop(family);
        shell.end();
        rounds += 1;
    }
    for storm in &mut storms {
        drop(storm.stdin.take());
        let mut text = String::new();
        storm.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        storm.wait().unwrap();
        let line = text.lines().find(|line| line.contains("storm:")).unwrap().to_string();
        println!("{rounds} rounds, {sent} signals; {line}");
        assert!(line.contains(" 0 hits"), "{line}");
    }
}

/// The thread's processor time.
fn busy() -> Duration {
    let time = crate::sys::clock(libc::CLOCK_THREAD_CPUTIME_ID);
    Duration::from_micros(time)
}

#[test]
#[ignore = "5,000 processes"]
fn five_thousand_processes_take_milliseconds() {
    let mut shell = Shell::start(
        "(setsid sh -c 'echo \"daemon $$\"; exec sleep 1000' &) ; sleep 1000 & sleep 0.2; echo ready; wait",
    );
    let file = File::open("/dev/null").unwrap();
    let mut crowd = Vec::new();
    for _ in 0..5000 {
        // SAFETY: the child makes system calls alone.
        let pid = unsafe { libc::fork() };
        if pid == 0 {
            // SAFETY: as above; four descriptors, as an ordinary program has them.
            unsafe {
                libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0);
                for _ in 0..4 {
                    libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY);
                }
                libc::pause();
                libc::_exit(0);
            }
        }
        if pid == -1 {
            break;
        }
        crowd.push(pid);
    }
    drop(file);
    let mut memory = Memory::with_room(4096);
    let mut family = memory.family();
    let began = birth(*crowd.last().unwrap()).unwrap() + 1;
    for (what, began, whom) in [
        ("all younger than the run", shell.began, Whom::Family),
        ("all older than the run", began, Whom::Family),
        ("all older, for strangers", began, Whom::FamilyAndStrangers),
    ] {
        for _ in 0..4 {
            let (start, busy) = (Instant::now(), busy());
            let found = family.scan(&Run { began, ..shell.run() }, whom, None).unwrap();
            println!(
                "{what}: {:?}, {:?} of them processor time, {found:?}",
                start.elapsed(),
                self::busy().saturating_sub(busy)
            );
        }
    }
    let start = Instant::now();
    family.living();
    println!("living: {:?}", start.elapsed());
    for pid in crowd {
        // SAFETY: this test's children.
        unsafe {
            libc::kill(pid, libc::SIGKILL);
            libc::waitpid(pid, core::ptr::null_mut(), 0);
        }
    }
    shell.end();
    let _ = std::io::stdout().flush();
}
