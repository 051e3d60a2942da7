//! The console goes away, fills up or stalls: the log goes on, and so does the job.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use support::terminal::Terminal;
use support::{
    COLLECTOR, STANDBY, STANDBY_REPLACED, TAKEN_OVER, TestEnv, Tmpfs, before_exec, helper, is_non_blocking, is_root,
    kill, logged, state, strace, wait_for, wait_for_printed,
};

/// `prog | head -1`: the reader goes away, and a bare program would die in `println!`.
#[test]
fn console_gone() {
    let env = TestEnv::new();
    let mut child = env.subject(&["slow_flood", "50000"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("line 00000000"));
    assert_eq!(child.wait().unwrap().code(), Some(7), "the function's own outcome");
    assert!(env.closing_line().contains("run ended by process::exit"));
    assert_eq!(logged(&env), (0..50_000).collect::<Vec<_>>());
    assert_eq!(env.log_text().matches("the console is gone (os error 32); the log goes on alone").count(), 1);
}

/// A reader that does not read: log and run go on, and the console has it all in the end.
#[test]
fn console_stalled() {
    let env = TestEnv::new();
    stalled(&env, env.subject(&["flood", "100000"]));
}

/// The console's pipe is another user's, as cron's is: it cannot be opened anew.
#[test]
fn console_of_another_user_stalled() {
    if !is_root() {
        return println!("not shown: takes root to run a program as another user");
    }
    let env = TestEnv::new();
    stalled(&env, env.subject_of_user(65_534, &["flood", "100000"]));
}

/// Nor does the file in which the rest waits, once it may not grow any more: the console misses something, and that is told.
/// Lines and records: each is a piece of its own.
#[test]
#[allow(unsafe_code, reason = "limits are system calls")]
fn console_stalled_and_its_file_full() {
    let env = TestEnv::new();
    let (reader, console) = std::io::pipe().unwrap();
    let mut command = env.subject(&["flood_and_record", "100000"]);
    let limit = libc::rlimit { rlim_cur: 6_000_000, rlim_max: 6_000_000 };
    // SAFETY: a limit of the child's, and root's right to raise it.
    let limited = move || unsafe {
        const CAP_SYS_RESOURCE: libc::c_ulong = 24;
        libc::prctl(libc::PR_CAPBSET_DROP, CAP_SYS_RESOURCE, 0, 0, 0);
        assert_eq!(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit), 0);
    };
    command.stdout(console.try_clone().unwrap()).stderr(console.try_clone().unwrap());
    let mut child = before_exec(&mut command, limited).spawn().unwrap();
    drop((command, console));
    wait_for("the log to have it all", || logged(&env).len() == 100_000);
    wait_for("the closing line", || env.log_text().contains("run finished in"));
    assert!(env.log_text().contains("the console has no room (os error 27)"), "{}", env.log_text());
    let shown = std::io::read_to_string(reader).unwrap();
    assert!(child.wait().unwrap().code().is_some() && shown.len() > 6_000_000, "{}", shown.len());
}

fn stalled(env: &TestEnv, mut command: Command) {
    let lines = 100_000;
    let (reader, console) = std::io::pipe().unwrap();
    let start = std::time::Instant::now();
    let mut child = command.stdout(console.try_clone().unwrap()).spawn().unwrap();
    drop(command);
    // The console's pipe holds 64 KiB; log and run go on.
    wait_for("the log to have it all", || logged(env).len() == lines);
    println!("everything was printed after {:?}", start.elapsed());
    assert_eq!(child.try_wait().unwrap(), None, "the console is waited for");
    assert!(!is_non_blocking(&console), "a flag that everybody shares is left alone");
    drop(console);
    let output = std::io::read_to_string(reader).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(output.lines().count(), lines, "nothing is dropped");
    assert_eq!(logged(env), (0..lines as u64).collect::<Vec<_>>());
}

/// Many parents wait for the end before they read, and a pipe holds 64 KiB, however small the pieces.
#[test]
fn a_parent_that_reads_after_the_end() {
    let env = TestEnv::new();
    env.go();
    let mut child = env.subject(&["few_records", "100"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    wait_for("the end", || child.try_wait().unwrap().is_some_and(|status| status.success()));
    assert_eq!(BufReader::new(child.stderr.take().unwrap()).lines().count(), 100);
}

/// A child lives on and holds one of two streams open: who reads the other one sees its end.
#[test]
fn each_console_ends_by_itself() {
    for open in ["1", "2"] {
        let env = TestEnv::new();
        let mut command = env.subject(&["child_on_one_stream", open]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let readers = [
            std::thread::spawn(move || std::io::read_to_string(&mut stdout).unwrap()),
            std::thread::spawn(move || std::io::read_to_string(&mut stderr).unwrap()),
        ];
        let (closed, still_open) = if open == "1" { (1, 0) } else { (0, 1) };
        assert!(child.wait().unwrap().success());
        wait_for("the end of the other stream", || readers[closed].is_finished());
        assert!(!readers[still_open].is_finished());
        env.go();
        assert_eq!(readers.map(|reader| reader.join().unwrap()), ["out\n", "err\n"]);
    }
}

/// A child lives on and prints faster than the console takes: the run waits for what it printed itself alone.
#[test]
fn a_child_faster_than_the_console() {
    let env = TestEnv::new();
    let mut child = env.subject(&["flooding_child"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut console = child.stdout.take().unwrap();
    wait_for("the end", || {
        let _ = console.read(&mut [0; 4096]).unwrap();
        child.try_wait().unwrap().is_some()
    });
    assert!(child.wait().unwrap().success() && !env.is_locked());
    env.go();
    std::io::copy(&mut console, &mut std::io::sink()).unwrap();
}

/// A reader that is slower than the run, as most are: the run goes at its pace, and what it shows is never old.
#[test]
fn a_console_that_moves_is_not_far_behind() {
    // On a busy machine this reader may itself stand still for a while: once of several times is enough.
    assert!((0..5).any(|_| bytes_behind_a_slow_reader() < 3 * 64 * 1024 + 256 * 1024 + 100_000));
}

/// The median of what is in the log and was not shown yet.
fn bytes_behind_a_slow_reader() -> usize {
    let env = TestEnv::new();
    let mut command = env.subject(&["flood_on_in_one_file", "0"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut console = child.stdout.take().unwrap();
    let mut shown = 0;
    let mut behind: Vec<usize> = (0..300)
        .map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            shown += console.read(&mut [0; 4096]).unwrap();
            // Lines of 90 bytes are 126 in the log.
            (fs::metadata(env.log()).unwrap().len() as usize * 90 / 126).saturating_sub(shown)
        })
        .collect();
    env.go();
    std::io::copy(&mut console, &mut std::io::sink()).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
    behind.sort_unstable();
    println!("{} bytes behind, {} at most", behind[150], behind[299]);
    behind[150]
}

/// The console stalls, and the collector is killed. Where the console is another user's, its standby finds the pipe between
/// in whatever state it was left.
#[test]
fn helper_killed_while_the_console_stalls() {
    for round in 0..20 {
        let env = TestEnv::new();
        let lines = 60_000;
        let user = if round % 2 == 1 && is_root() { 65_534 } else { 0 };
        let mut command = env.subject_of_user(user, &["flood", &lines.to_string()]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        wait_for("the log to be far ahead", || logged(&env).len() > 5000);
        assert!(kill(helper(child.id(), COLLECTOR), 9));
        let shown = BufReader::new(child.stdout.take().unwrap()).lines().count();
        assert!(child.wait().unwrap().success());
        assert!(env.closing_line().contains("run finished in"));
        assert!(env.log_text().contains(TAKEN_OVER));
        // A batch is missing in the log; what waited for the console, a good deal more, is missing there.
        assert!(logged(&env).len() > lines - 2 * 256 * 1024 / 90 && shown > 5000, "{} {shown}", logged(&env).len());
        assert!(logged(&env).is_sorted());
    }
}

/// The run is over but for the console, a silent child lives on, and the collector is killed: its standby answers.
#[test]
fn helper_killed_while_only_the_console_is_waited_for() {
    for _ in 0..10 {
        let env = TestEnv::new();
        let (unread, console) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut command = env.subject(&["flood_background", "15000"]);
        let mut child = command.stdout(std::os::fd::OwnedFd::from(console)).stderr(Stdio::null()).spawn().unwrap();
        drop(command);
        assert!(env.closing_line().contains("run finished in"));
        assert_eq!(child.try_wait().unwrap(), None, "the console does not have it all");
        assert!(env.is_locked(), "nor has the next run its turn");
        let collector = helper(child.id(), COLLECTOR);
        // It tells its standby of the closing line after it has written it, and then sleeps.
        wait_for("the collector to wait", || state(collector) == Some('S'));
        assert!(kill(collector, 9));
        wait_for("the run's end", || child.try_wait().unwrap().is_some_and(|status| status.success()));
        assert!(env.closing_line().contains("run finished in"), "one closing line");
        assert_eq!(logged(&env).len(), 15_000);
        env.go();
        drop(unread);
    }
}

#[test]
fn terminal_closed() {
    let env = TestEnv::new();
    let mut terminal = Terminal::new();
    let mut child = terminal.stdout(&mut env.subject(&["slow_flood", "30000"])).spawn().unwrap();
    terminal.emulator.read_exact(&mut [0; 1000]).unwrap();
    drop(terminal);
    assert_eq!(child.wait().unwrap().code(), Some(7), "the function's own outcome");
    assert_eq!(logged(&env), (0..30_000).collect::<Vec<_>>());
    assert_eq!(env.log_text().matches("the console is gone (os error 5); the log goes on alone").count(), 1);
}

/// The console is a terminal whose reader does not read.
#[test]
#[cfg_attr(guard_portable, ignore = "a terminal that has room for half of a write holds the collector up there")]
fn killed_while_a_terminal_stalls() {
    for _ in 0..10 {
        let env = TestEnv::new();
        env.make_counters();
        let terminal = Terminal::new();
        let console = terminal.open();
        let mut command = env.subject(&["count", "1"]);
        let mut child = command.stdout(console.try_clone().unwrap()).stderr(Stdio::null()).spawn().unwrap();
        wait_for_printed(&env, 20_000);
        assert!(!is_non_blocking(&console), "a flag that everybody shares is left alone");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(env.closing_line().contains("run ended without finishing"));
        assert!(env.entries().len() as u64 >= env.counters().iter().sum());
        drop(terminal);
    }
}

/// Killed while the console stalls: what it wrote is in the log all the same, and on the console when that goes on.
#[test]
fn killed_while_the_console_stalls() {
    for _ in 0..20 {
        let env = TestEnv::new();
        env.make_counters();
        let mut child = env.subject(&["count", "2"]).stdout(Stdio::piped()).spawn().unwrap();
        wait_for_printed(&env, 20_000);
        child.kill().unwrap();
        let killed = std::time::Instant::now();
        let console = child.stdout.take().unwrap();
        child.wait().unwrap();
        assert!(env.closing_line().contains("run ended without finishing"));
        println!("the log was closed {:?} after the kill", killed.elapsed());
        let printed: u64 = env.counters().iter().sum();
        assert!(env.entries().len() as u64 >= printed);
        let shown = BufReader::new(console).lines().count();
        assert_eq!(shown, env.entries().len(), "the console gets it all when it goes on");
        assert!(!env.log_text().contains(STANDBY_REPLACED), "nobody killed it");
    }
}

/// The run is killed while the console stalls, and the console goes on at the moment at which the collector, each of whose
/// looks at it takes a tenth of a second, lets go of the run: seen nonetheless, where it once waited for ever.
#[test]
#[ignore = "needs strace, to slow the collector down"]
fn the_console_goes_on_as_the_run_is_let_go() {
    for moment in 0..6 {
        let env = TestEnv::new();
        // More than the console's pipe holds, less than twice as much.
        let mut child = env.subject(&["hold", "1000"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        wait_for("the holder to hold", || env.log_text().contains("] held\n"));
        let collector = helper(child.id(), COLLECTOR);
        let mut strace = strace(collector, "write:delay_enter=100000");
        child.kill().unwrap();
        let console = BufReader::new(child.stdout.take().unwrap());
        child.wait().unwrap();
        assert!(env.closing_line().contains("run ended without finishing"));
        std::thread::sleep(std::time::Duration::from_millis(50 * moment));
        assert_eq!(console.lines().count(), 1001);
        wait_for("the collector to end", || strace.try_wait().unwrap().is_some());
    }
}

#[test]
fn console_full() {
    let env = TestEnv::new();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    assert!(env.subject(&["flood", "5000"]).stdout(full).status().unwrap().success());
    assert_eq!(logged(&env), (0..5000).collect::<Vec<_>>());
    assert_eq!(env.log_text().matches("the console has no room (os error 28)").count(), 1);
}

/// One process of the run makes its streams non-blocking, and with them everybody's: nobody else loses a line.
#[test]
#[cfg_attr(guard_portable, ignore = "there is no description of its own for a stream")]
fn a_child_that_makes_the_streams_non_blocking() {
    const LINES: u64 = 100_000;
    for console in ["file", "pipe", "slow pipe"] {
        let env = TestEnv::new();
        let mut command = env.subject(&["beside_a_non_blocking_child", &LINES.to_string()]);
        let shown = env.path("console");
        let status = if console == "file" {
            command.stdout(fs::File::create(&shown).unwrap()).status().unwrap()
        } else {
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            let mut reader = child.stdout.take().unwrap();
            if console == "slow pipe" {
                wait_for("the run to be slowed down", || logged(&env).len() > 5000);
            }
            std::io::copy(&mut reader, &mut fs::File::create(&shown).unwrap()).unwrap();
            child.wait().unwrap()
        };
        assert!(status.success(), "{console}");
        assert!(logged(&env).into_iter().eq(0..LINES), "{console}");
        let children = env.entries().iter().filter(|entry| entry.starts_with("child ")).count();
        assert_eq!(children as u64, LINES, "{console}");
        assert_eq!(fs::read_to_string(shown).unwrap().lines().count() as u64, 2 * LINES, "{console}");
    }
}

/// A collector that took over has no copy of its dead predecessor's.
#[test]
#[cfg_attr(guard_portable, ignore = "the streams' other ends cannot be had again there")]
fn a_child_that_makes_the_streams_non_blocking_after_a_takeover() {
    const LINES: u64 = 100_000;
    let env = TestEnv::new();
    let shown = env.path("console");
    let mut command = env.subject(&["non_blocking_child_after_go", &LINES.to_string()]);
    let mut child = command.stdout(fs::File::create(&shown).unwrap()).spawn().unwrap();
    let collector = helper(child.id(), COLLECTOR);
    assert!(kill(collector, libc::SIGKILL));
    wait_for("the standby to take over", || env.log_text().contains(TAKEN_OVER));
    // It takes the collector's name a moment after that.
    helper(child.id(), COLLECTOR);
    assert!(kill(helper(child.id(), STANDBY), libc::SIGKILL));
    wait_for("another standby", || env.log_text().contains(STANDBY_REPLACED));
    env.go();
    assert!(child.wait().unwrap().success());
    assert!(logged(&env).into_iter().eq(0..LINES));
    assert_eq!(fs::read_to_string(shown).unwrap().lines().count() as u64, LINES);
}

/// A socket, as journald gives one, gets as much at once as it takes.
#[test]
fn a_console_that_is_a_socket() {
    let text = ("x".repeat(79) + "\n").repeat(500);
    let env = TestEnv::new();
    let (mut reader, console) = std::os::unix::net::UnixStream::pair().unwrap();
    let mut command = env.subject(&["copy"]);
    command.stdin(Stdio::piped()).stdout(std::os::fd::OwnedFd::from(console));
    let mut child = command.spawn().unwrap();
    drop(command);
    // The run waits for its collector before that; `guard_portable` finds one that is not ready too.
    wait_for("the run to begin", || env.log_text().contains("run started"));
    let collector = helper(child.id(), COLLECTOR);
    // proc(5): bytes written, and calls of write(2).
    let count = |pid: u32, what: &str| -> usize {
        let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
        io.lines().find_map(|line| line.strip_prefix(what)).unwrap().parse().unwrap()
    };
    // It finds all of it in the pipe, however slowly that was printed.
    assert!(kill(collector, libc::SIGSTOP));
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(text.as_bytes()).unwrap();
    wait_for("the text to be printed", || count(child.id(), "wchar: ") >= text.len());
    let before = count(collector, "syscw: ");
    assert!(kill(collector, libc::SIGCONT));
    let mut shown = vec![0; text.len()];
    reader.read_exact(&mut shown).unwrap();
    // Those to the log are few.
    let writes = count(collector, "syscw: ") - before;
    drop(stdin);
    assert!(child.wait().unwrap().success() && shown == text.as_bytes());
    assert!(writes < shown.len() / 2048, "{writes} writes of {} bytes", shown.len());
}

/// The disk of the console is full for a while: what is printed after that is shown.
#[test]
#[ignore = "needs root, to mount a tmpfs"]
fn console_full_for_a_while() {
    let env = TestEnv::new();
    let _disk = Tmpfs::mount(env.path("disk"), "size=2m");
    fs::write(env.path("disk/ballast"), vec![0; 1_500_000]).unwrap();
    let console = fs::File::create(env.path("disk/console")).unwrap();
    let mut child = env.subject(&["few_lines_then_go", "10000"]).stdout(console).spawn().unwrap();
    wait_for("the lines", || logged(&env).len() == 10_000);
    fs::remove_file(env.path("disk/ballast")).unwrap();
    env.go();
    let status = child.wait().unwrap();
    let shown = fs::read_to_string(env.path("disk/console")).unwrap();
    assert!(status.success() && shown.contains("thank you\n"), "{} bytes shown", shown.len());
}
