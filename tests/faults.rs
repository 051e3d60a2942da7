//! What goes wrong around a run: the job goes on, and the log stays true.
#![allow(missing_docs)]
#![allow(unsafe_code, reason = "a pseudo-terminal is opened")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use support::{Place, text, wait_for};

/// The numbers of `flood` and its like, of whole lines only.
fn logged(place: &Place) -> Vec<u64> {
    let number = |entry: &String| entry.strip_prefix("line ")?.get(..8)?.parse().ok();
    place.entries().iter().filter(|entry| entry.ends_with(&"x".repeat(75))).filter_map(number).collect()
}

/// `prog | head -1`: the reader goes away, and a bare program would die in `println!`.
#[test]
fn console_gone() {
    let place = Place::new();
    let mut child = place.subject(&["slow_flood", "50000"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("line 00000000"));
    assert_eq!(child.wait().unwrap().code(), Some(7), "the function's own outcome");
    assert!(place.closing_line().contains("run ended by process::exit"));
    assert_eq!(logged(&place), (0..50_000).collect::<Vec<_>>());
    assert_eq!(place.log_text().matches("the console is gone (os error 32); the log goes on alone").count(), 1);
}

/// A reader that does not read: the log goes on, the run up to a bound, and the console has it all in the end.
#[test]
fn console_stalled() {
    let place = Place::new();
    let lines = 100_000;
    let mut child = place.subject(&["flood", &lines.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
    // The console's pipe holds 64 KiB; the log goes on for megabytes.
    wait_for("the log to be far ahead", || logged(&place).len() > 20_000);
    assert_eq!(child.try_wait().unwrap(), None, "the run is slowed down, not let go");
    assert!(logged(&place).len() < lines, "its memory is bounded");
    let mut output = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut output).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(output.lines().count(), lines, "nothing is dropped");
    assert_eq!(logged(&place), (0..lines as u64).collect::<Vec<_>>());
}

/// As the last, and the collector is killed: its keeper finds the pipe between in whatever state it was left.
#[test]
fn helper_killed_while_the_console_stalls() {
    for _ in 0..20 {
        let place = Place::new();
        let lines = 60_000;
        let mut child = place.subject(&["flood", &lines.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
        wait_for("the log to be far ahead", || logged(&place).len() > 5000);
        let collector = |(pid, name): (u32, String)| (name == "guard-collector").then_some(pid);
        let collector = support::helpers(child.id()).into_iter().find_map(collector).unwrap();
        support::kill(collector, 9);
        let shown = BufReader::new(child.stdout.take().unwrap()).lines().count();
        assert!(child.wait().unwrap().success());
        assert!(place.closing_line().contains("run finished in"));
        assert!(place.log_text().contains("was killed; its keeper took over"));
        // A batch is missing in the log; what waited for the console, a good deal more, is missing there.
        assert!(logged(&place).len() > lines - 2 * 256 * 1024 / 90 && shown > 5000, "{} {shown}", logged(&place).len());
        assert!(logged(&place).is_sorted());
    }
}

/// The run is over but for the console, a silent child lives on, and the collector is killed: its keeper answers.
#[test]
fn helper_killed_while_only_the_console_is_waited_for() {
    for _ in 0..10 {
        let place = Place::new();
        let (unread, console) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut command = place.subject(&["flood_background", "15000"]);
        let mut child = command.stdout(std::os::fd::OwnedFd::from(console)).stderr(Stdio::null()).spawn().unwrap();
        drop(command);
        assert!(place.closing_line().contains("run finished in"));
        assert_eq!(child.try_wait().unwrap(), None, "the console does not have it all");
        let collector = |(pid, name): (u32, String)| (name == "guard-collector").then_some(pid);
        support::kill(support::helpers(child.id()).into_iter().find_map(collector).unwrap(), 9);
        wait_for("the run's end", || child.try_wait().unwrap().is_some_and(|status| status.success()));
        assert!(place.closing_line().contains("run finished in"), "one closing line");
        assert_eq!(logged(&place).len(), 15_000);
        fs::write(place.path("go"), "").unwrap();
        drop(unread);
    }
}

/// The console is a terminal whose reader does not read.
#[test]
fn killed_while_a_terminal_stalls() {
    for _ in 0..10 {
        let place = Place::new();
        place.make_counters();
        let (mut master, mut slave) = (0, 0);
        let null = std::ptr::null_mut();
        // SAFETY: two descriptors are written, the rest is left out.
        let opened = unsafe { libc::openpty(&raw mut master, &raw mut slave, null, null.cast(), null.cast()) };
        assert_eq!(opened, 0);
        // SAFETY: both were opened above, for us.
        let [master, slave] = [master, slave].map(|descriptor| unsafe {
            libc::fcntl(descriptor, libc::F_SETFD, libc::FD_CLOEXEC);
            <std::os::fd::OwnedFd as std::os::fd::FromRawFd>::from_raw_fd(descriptor)
        });
        let mut child = place.subject(&["count", "1"]).stdout(slave).stderr(Stdio::null()).spawn().unwrap();
        let mut before = 0;
        wait_for("the run to be slowed down", || {
            let printed: u64 = place.counters().iter().sum();
            std::thread::sleep(std::time::Duration::from_millis(50));
            std::mem::replace(&mut before, printed) == printed && printed > 0
        });
        assert!(before > 20_000, "the log went on for megabytes, {before} lines");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(place.closing_line().contains("run ended without finishing"));
        assert!(place.entries().len() as u64 >= place.counters().iter().sum());
        drop(master);
    }
}

/// Killed while the console stalls: what it wrote is in the log all the same, and on the console when that goes on.
#[test]
fn killed_while_the_console_stalls() {
    for _ in 0..20 {
        let place = Place::new();
        place.make_counters();
        let mut child = place.subject(&["count", "2"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut before = 0;
        // Until it stands still: the run is blocked on its full pipe.
        wait_for("the run to be slowed down", || {
            let printed: u64 = place.counters().iter().sum();
            std::thread::sleep(std::time::Duration::from_millis(50));
            std::mem::replace(&mut before, printed) == printed && printed > 20_000
        });
        child.kill().unwrap();
        let killed = std::time::Instant::now();
        let console = child.stdout.take().unwrap();
        child.wait().unwrap();
        assert!(place.closing_line().contains("run ended without finishing"));
        println!("the log was closed {:?} after the kill", killed.elapsed());
        let printed: u64 = place.counters().iter().sum();
        assert!(place.entries().len() as u64 >= printed);
        let shown = BufReader::new(console).lines().count();
        assert_eq!(shown, place.entries().len(), "the console gets it all when it goes on");
        assert!(!place.log_text().contains("keeper was killed"), "nobody killed it");
    }
}

#[test]
fn console_full() {
    let place = Place::new();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    assert!(place.subject(&["flood", "5000"]).stdout(full).status().unwrap().success());
    assert_eq!(logged(&place), (0..5000).collect::<Vec<_>>());
    assert_eq!(place.log_text().matches("the console is gone (os error 28)").count(), 1);
}

/// A limit on the size of files, below the log's: what does not fit is counted, the console has it all.
#[test]
fn file_size_limit() {
    let place = Place::new();
    let script = format!("ulimit -f 100; exec {} flood 5000", env!("CARGO_BIN_EXE_subject"));
    let output = Command::new("sh").args(["-c", &script]).env("SUBJECT_DIR", place.path("")).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).lines().count(), 5000, "the console's copy goes on");
    let numbers = logged(&place);
    assert!(!numbers.is_empty() && numbers.len() < 5000 && numbers.windows(2).all(|pair| pair[0] + 1 == pair[1]));
}

/// A file system of three megabytes that fills up, and has room again.
#[test]
#[ignore = "needs root, to mount a tmpfs"]
fn disk_full_and_room_again() {
    let place = Place::new();
    fs::create_dir(place.path("logs")).unwrap();
    let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=3m", "none"]).arg(place.path("logs")).status();
    assert!(mount.unwrap().success());
    fs::write(place.path("logs/ballast"), vec![0; 3_000_000]).unwrap();
    let mut child = place.subject(&["slow_flood", "20000"]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut printed = 0;
    for _ in lines {
        printed += 1;
        if printed == 10_000 {
            fs::remove_file(place.path("logs/ballast")).unwrap();
        }
    }
    assert_eq!((child.wait().unwrap().code(), printed), (Some(7), 20_000), "the job and the console go on");
    let log = fs::read_to_string(place.log()).unwrap();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("bytes are missing here")).collect();
    let closed = log.contains("run ended by process::exit");
    assert!(Command::new("umount").arg(place.path("logs")).status().unwrap().success());
    assert!(closed && told.len() == 1 && told[0].contains("(os error 28)"), "{told:?}");
}

/// A directory in the place of a backup: the log grows on, and says so once.
#[test]
fn rotation_impossible() {
    let place = Place::new();
    fs::create_dir_all(place.path("logs/run.log.5")).unwrap();
    for number in 1..5 {
        fs::write(place.path(&format!("logs/run.log.{number}")), "old\n").unwrap();
    }
    let lines = 6_000_000 / 126;
    assert!(place.subject(&["flood", &lines.to_string()]).stdout(Stdio::null()).status().unwrap().success());
    let log = fs::read_to_string(place.log()).unwrap();
    assert_eq!(log.matches("] line ").count() as u64, lines);
    assert_eq!(log.matches("the log cannot be rotated (os error ").count(), 1);
    for number in 1..5 {
        assert_eq!(fs::read_to_string(place.path(&format!("logs/run.log.{number}"))).unwrap(), "old\n");
    }
}

/// Two runs print into one log at the same time, rotating it: no line torn or lost, each writer's in order.
#[test]
fn two_runs_share_a_log() {
    const LINES: u64 = 100_000;
    let place = Place::new();
    fs::create_dir(place.path("logs")).unwrap();
    let start = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_subject"));
        command.args(["shared_log", &LINES.to_string(), name]).env("SUBJECT_DIR", place.path("")).env("NAME", name);
        command.stdout(Stdio::null()).spawn().unwrap()
    };
    for mut child in [start("a"), start("b")] {
        assert!(child.wait().unwrap().success());
    }
    wait_for("both closing lines", || place.log_text().matches("run finished in").count() == 2);
    for name in ["a", "b"] {
        let prefix = format!("{name} ");
        let numbers: Vec<u64> =
            place.entries().iter().filter_map(|entry| entry.strip_prefix(&prefix)?.parse().ok()).collect();
        assert_eq!(numbers, (0..LINES).collect::<Vec<_>>(), "{name}");
    }
    assert!(place.log_files().len() > 5);
    for file in place.log_files() {
        assert!(fs::metadata(file).unwrap().len() <= 1_000_000);
    }
}

/// Moved and removed from outside: followed, a batch later at the latest.
#[test]
fn moved_and_removed() {
    let place = Place::new();
    let mut child = place.subject(&["slow_flood", "100000"]).stdout(Stdio::null()).spawn().unwrap();
    wait_for("lines", || place.log_text().contains("line 00001000"));
    fs::rename(place.log(), place.path("logs/moved")).unwrap();
    wait_for("a new log", || place.log().exists() && place.log_text().contains("] line "));
    fs::remove_file(place.log()).unwrap();
    wait_for("another", || place.log().exists());
    assert_eq!(child.wait().unwrap().code(), Some(7));
    assert!(place.closing_line().contains("run ended by process::exit"));
    let last = logged(&place).last().copied();
    assert_eq!(last, Some(99_999));
}

/// Its whole directory removed: carried on in the open file, and no busy loop.
#[test]
fn directory_removed() {
    let place = Place::new();
    let mut child = place.subject(&["slow_flood", "30000"]).stdout(Stdio::null()).spawn().unwrap();
    wait_for("lines", || place.log_text().contains("line 00001000"));
    fs::remove_dir_all(place.path("logs")).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(7));
}
