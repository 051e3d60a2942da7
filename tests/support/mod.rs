//! Starts the program under test in a directory of its own and reads what it left there.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]

#[cfg(feature = "postgres")]
pub mod cluster;
pub mod log_line;
pub mod machine;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod terminal;

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Generous, for a loaded machine: what it bounds normally takes milliseconds.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A directory with the lock, the log and everything else of one test.
pub struct TestEnv {
    directory: tempfile::TempDir,
}

impl TestEnv {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a temporary directory") }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn log(&self) -> PathBuf {
        self.path("logs/run.log")
    }

    pub fn lock(&self) -> PathBuf {
        self.path("locks/run.lock")
    }

    /// The annotated program in one of its modes.
    pub fn subject(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_subject"));
        command.args(arguments).env("SUBJECT_DIR", self.directory.path()).env_remove("RUST_LOG");
        command.stdin(Stdio::null());
        command
    }

    /// The same as an ordinary user of that number, to whom the directory is given, where the test is root.
    pub fn subject_of_user(&self, user: u32, arguments: &[&str]) -> Command {
        let mut command = self.subject(arguments);
        if is_root() {
            std::os::unix::fs::chown(self.directory.path(), Some(user), Some(user)).unwrap();
            command.uid(user).gid(user);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.subject(arguments).output().expect("the subject starts")
    }

    /// Starts `hold` and waits until it does.
    pub fn holder(&self) -> Child {
        let child = self.subject(&["hold"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("it starts");
        wait_for("the holder to hold", || self.log_text().contains("] held\n"));
        child
    }

    /// Every log file's text, the oldest first.
    pub fn log_text(&self) -> String {
        let bytes =
            self.log_files().into_iter().map(|path| fs::read(path).unwrap_or_default()).collect::<Vec<_>>().concat();
        // The start of a frame, where a run was ended in the middle of one on a terminal, is no text.
        text(&bytes)
    }

    pub fn log_files(&self) -> Vec<PathBuf> {
        let numbered = |number: u32| PathBuf::from(format!("{}.{number}", self.log().display()));
        let mut files: Vec<PathBuf> = (1..=999).map(numbered).take_while(|path| path.exists()).collect();
        files.reverse();
        files.push(self.log());
        files
    }

    /// Waits for the closing line, which the collector may write after its run is gone.
    pub fn closing_line(&self) -> String {
        let closing =
            |text: &str| text.lines().filter(|line| log_line::is_closing(line)).map(str::to_owned).collect::<Vec<_>>();
        wait_for("the closing line", || !closing(&self.log_text()).is_empty());
        let lines = closing(&self.log_text());
        assert_eq!(lines.len(), 1, "exactly one closing line: {lines:?}");
        lines[0].clone()
    }

    /// The texts of the printed lines (`OUT`, `ERR`) and the records, without stamps. Our own are left out, further
    /// lines too, and what a killed collector left of a stamp.
    pub fn entries(&self) -> Vec<String> {
        self.log_text()
            .lines()
            .filter(|line| !log_line::is_ours(line) && !line.starts_with("    "))
            .filter_map(|line| log_line::text(line).map(str::to_owned))
            .collect()
    }

    pub fn is_locked(&self) -> bool {
        let status = Command::new("flock").arg("-n").arg(self.lock()).arg("true").status().expect("util-linux's flock");
        !status.success()
    }

    /// Lets a program that waits for the test go on.
    pub fn go(&self) {
        fs::write(self.path("go"), "").unwrap();
    }

    /// Room for `count`'s counters.
    pub fn make_counters(&self) {
        fs::write(self.path("counters"), [0; 512]).unwrap();
    }

    pub fn counters(&self) -> Vec<u64> {
        let bytes = fs::read(self.path("counters")).unwrap();
        bytes.chunks(8).map(|chunk| u64::from_ne_bytes(chunk.try_into().unwrap())).collect()
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        assert!(std::thread::panicking() || !self.path("allocated").exists(), "a helper process allocated or freed");
    }
}

pub fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata("/proc/self").unwrap()) == 0
}

/// Waits for a condition, with a deadline.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < DEADLINE, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The names that the helper processes give themselves: the one that reads and writes, and the one that takes over.
pub const COLLECTOR: &str = "guard-collector";
pub const STANDBY: &str = "guard-standby";
/// What the log says when the second has taken over, when it was killed itself and replaced, and when there is none.
pub const TAKEN_OVER: &str = "was killed; its standby took over, at most one batch is missing here";
pub const STANDBY_REPLACED: &str = "the collector's standby was killed; nothing is missing";
pub const NO_STANDBY: &str = "the collector has no standby";

/// The helper processes of a run: its children by the names they have given themselves.
#[cfg(not(guard_portable))]
pub fn helpers(pid: u32) -> Vec<(u32, String)> {
    let children = processes().filter(|process| process.parent == pid && process.name.starts_with("guard-"));
    children.map(|process| (process.pid, process.name)).collect()
}

/// The helper processes of a run that lives: those of the program's processes with a session of their own that share a pipe
/// with it which is not one of the tests' own (standard error may be one, and then all runs have it). Not the process between
/// the two forks of a new one, whose parent is the run or a helper. They have no names: the older one is the collector.
#[cfg(guard_portable)]
pub fn helpers(pid: u32) -> Vec<(u32, String)> {
    use std::collections::HashSet;
    use std::path::PathBuf;
    let pipes = |pid: u32| -> HashSet<PathBuf> {
        let open = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let links = open.filter_map(|entry| fs::read_link(entry.path()).ok());
        links.filter(|link| link.to_string_lossy().starts_with("pipe:")).collect()
    };
    let program = |pid: u32| fs::read_link(format!("/proc/{pid}/exe")).ok();
    let of_run = &pipes(pid) - &pipes(std::process::id());
    let session = processes().find(|process| process.pid == pid).map(|run| run.session);
    let mut found: Vec<_> = processes()
        .filter(|process| Some(process.session) != session && process.parent != pid)
        .filter(|process| program(process.pid) == program(pid))
        .filter(|process| !pipes(process.pid).is_disjoint(&of_run))
        .collect();
    let pids: HashSet<u32> = found.iter().map(|process| process.pid).collect();
    found.retain(|process| !pids.contains(&process.parent));
    // Many are born in one tick of 10 ms; after the highest number the low ones come again.
    let by_number = |a: u32, b: u32| if a.abs_diff(b) > 10_000 { b.cmp(&a) } else { a.cmp(&b) };
    found.sort_by(|a, b| a.birth.cmp(&b.birth).then(by_number(a.pid, b.pid)));
    let names = ["guard-collector", "guard-standby"].into_iter().chain(std::iter::repeat("guard-other"));
    found.into_iter().zip(names).map(|(process, name)| (process.pid, name.to_owned())).collect()
}

/// What proc(5) tells of a process in its `stat`.
#[allow(dead_code, reason = "some tests ask for some of it")]
struct Process {
    pid: u32,
    name: String,
    parent: u32,
    session: u32,
    birth: u64,
}

/// Those that live, zombies aside.
fn processes() -> impl Iterator<Item = Process> {
    fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let (open, close) = (stat.find('(')?, stat.rfind(')')?);
        let fields: Vec<&str> = stat[close + 2..].split(' ').collect();
        let number = |field: usize| fields[field].parse::<u32>().ok();
        let (parent, session) = (number(1)?, number(3)?);
        let name = stat[open + 1..close].to_owned();
        (fields[0] != "Z").then_some(Process { pid, name, parent, session, birth: fields[19].parse().ok()? })
    })
}

/// A small file system of its own on a directory (as root), gone with this value.
pub struct Tmpfs(PathBuf);

impl Tmpfs {
    /// `options` as mount(8) has them.
    pub fn mount(directory: PathBuf, options: &str) -> Self {
        fs::create_dir_all(&directory).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "none"]).arg(&directory).status();
        assert!(mount.unwrap().success());
        Self(directory)
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let umount = || Command::new("umount").arg(&self.0).stderr(Stdio::null()).status().unwrap().success();
        // A helper that is about to end may have a file open.
        wait_for("umount", || umount() || std::thread::panicking());
    }
}

/// Sets the system's clock (as root) by so many seconds ahead, or back.
pub fn set_clock(seconds: i64) {
    let date = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64 + seconds;
    let output = Command::new("date").args(["-s", &format!("@{date}")]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

/// The state letter of a process (proc(5)); none where there is none.
pub fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// None of them lives: gone, or waiting for whoever reaps it.
pub fn are_gone(pids: &[u32]) -> bool {
    pids.iter().all(|pid| matches!(state(*pid), None | Some('Z' | 'X')))
}

/// Says whether there was such a process.
pub fn kill(pid: u32, signal: i32) -> bool {
    // SAFETY: a process that the test started.
    #[allow(unsafe_code)]
    unsafe {
        libc::kill(pid as i32, signal) == 0
    }
}

/// Waits until a run that counts its lines has printed more than so many. Returns how many.
pub fn wait_for_printed(env: &TestEnv, least: u64) -> u64 {
    let mut printed = 0;
    wait_for("the run to print", || {
        printed = env.counters().iter().sum();
        printed > least
    });
    printed
}

/// Has strace(1) tamper with the system calls of a process, from when this returns.
pub fn strace(pid: u32, inject: &str) -> Child {
    strace_with(&[], pid, inject)
}

/// With what it forks.
pub fn strace_all(pid: u32, inject: &str) -> Child {
    strace_with(&["-f"], pid, inject)
}

fn strace_with(options: &[&str], pid: u32, inject: &str) -> Child {
    let mut command = Command::new("strace");
    command.args(["-o", "/dev/null", "-e", &format!("inject={inject}"), "-p", &pid.to_string()]).args(options);
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("strace");
    // Its own word for it: /proc names the tracer a moment before its PTRACE_INTERRUPT, without which the process goes on
    // to the end of a call that it sleeps in and makes others untouched.
    let mut word = String::new();
    BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut word).unwrap();
    assert!(word.contains(" attached"), "strace: {word}");
    child
}

/// The one of that name, once it is there.
pub fn helper(pid: u32, name: &str) -> u32 {
    let mut found = None;
    wait_for(name, || {
        found = helpers(pid).into_iter().find(|(_, helper)| helper == name);
        found.is_some()
    });
    found.unwrap().0
}

/// Small random numbers that differ from run to run.
pub fn random(below: u64) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    RandomState::new().hash_one(NEXT.fetch_add(1, Ordering::Relaxed)) % below
}

/// Calls `body` so often, on as many threads as there are cores.
pub fn repeat(times: u64, body: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= times {
                        break;
                    }
                    body(number);
                }
            });
        }
    });
}

/// Has the kernel refuse system calls from here on (seccomp(2)).
#[allow(unsafe_code, reason = "filters are system calls")]
pub fn forbid(calls: &[libc::c_long], error: i32) {
    let statement = |code: u32, k: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k };
    let mut filter = [statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW); 20];
    filter[0] = statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0);
    for (pair, call) in filter[1..].chunks_mut(2).zip(calls) {
        pair[0] = statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, *call as u32);
        pair[0].jf = 1;
        pair[1] = statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | error as u32);
    }
    let program = libc::sock_fprog { len: 20, filter: filter.as_mut_ptr() };
    // SAFETY: the filter lives until the kernel has copied it.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program), 0);
    }
}

/// Calls system functions in the child before it executes its program.
pub fn before_exec(command: &mut Command, action: impl Fn() + Send + Sync + 'static) -> &mut Command {
    // SAFETY: the tests' actions are system calls alone.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(move || {
            action();
            Ok(())
        })
    }
}

/// The numbers of `flood` and its like, of whole lines only.
pub fn logged(env: &TestEnv) -> Vec<u64> {
    let number = |entry: &String| entry.strip_prefix("line ")?.get(..8)?.parse().ok();
    env.entries().iter().filter(|entry| entry.ends_with(&"x".repeat(75))).filter_map(number).collect()
}

/// Every line that `count` says it printed is in the log, each thread's in order and without a gap; returns how many.
pub fn assert_counted(env: &TestEnv, entries: &[String]) -> u64 {
    let (mut logged, counters) = ([0; 64], env.counters());
    // On a terminal, a line that was being written at the kill is cut.
    for entry in entries.iter().filter(|entry| entry.ends_with(&"x".repeat(75))) {
        let mut words = entry.split(' ');
        let thread: usize = words.next().unwrap().parse().unwrap();
        let number: u64 = words.nth(1).unwrap().parse().unwrap();
        assert_eq!(number, logged[thread], "in order, without a gap");
        logged[thread] += 1;
    }
    for (thread, (counted, logged)) in counters.iter().zip(logged).enumerate() {
        assert!(logged >= *counted, "thread {thread}: {counted} printed, {logged} logged");
    }
    counters.iter().sum()
}

/// How many lines `flood_on` says it printed.
pub fn printed(env: &TestEnv) -> u64 {
    let log = env.log_text();
    let (_, said) = log.rsplit_once("] printed ").expect("its last line");
    said.split(' ').next().unwrap().parse().unwrap()
}

/// Whether that is set for all who share the open file.
pub fn is_non_blocking(file: &impl std::os::fd::AsRawFd) -> bool {
    // SAFETY: a question about a file that is open.
    #[allow(unsafe_code)]
    let flags = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETFL) };
    assert!(flags != -1);
    flags & libc::O_NONBLOCK != 0
}

/// Sends the command's stderr where its stdout goes (`2>&1`).
pub fn merge_stderr(command: &mut Command) -> &mut Command {
    // SAFETY: dup2 is async-signal-safe.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(|| if libc::dup2(1, 2) == -1 { Err(std::io::Error::last_os_error()) } else { Ok(()) })
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
