//! The run that takes too long, and what outlives one that has died.
#![allow(missing_docs)]
#![cfg(target_os = "linux")]

mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use support::{COLLECTOR, TAKEN_OVER, TestEnv, are_gone, helper, kill, set_clock, strace, wait_for};

/// A run with a shell's children. Each notes its pid in the directory, in a file of its name.
struct Hung {
    env: TestEnv,
    started: Instant,
    child: Child,
}

/// As it names itself.
const STANDBY: &str = "guard-standby";

const KINDS: &str = r#"
    note='echo $$ >"$SUBJECT_DIR/$0.new"; mv "$SUBJECT_DIR/$0.new" "$SUBJECT_DIR/$0"; '
    start() { sh -c "$note$2" "$1"; }
    start_deaf() { sh -c "trap '' TERM; $note$2" "$1"; }
    start child 'exec sleep 100' &
    start_deaf deaf 'while :; do sleep 100; done' &
    setsid sh -c 'echo $$ >"$SUBJECT_DIR/session"; exec sleep 100' &
    (setsid sh -c 'trap "" TERM; echo $$ >"$SUBJECT_DIR/daemon"; while :; do sleep 100; done' &)
    start_deaf silent 'exec >/dev/null 2>&1; while :; do sleep 100; done' &
    start stopped 'kill -STOP $$; exec sleep 100' &
    start_deaf chatty 'while :; do echo x; sleep 0.01; done' &
"#;
const NAMES: [&str; 7] = ["child", "deaf", "session", "daemon", "silent", "stopped", "chatty"];

fn hung(script: &str, end: &str, settings: &[(&str, &str)]) -> Hung {
    let env = TestEnv::new();
    let started = Instant::now();
    let child = start(&env, script, end, settings);
    Hung { env, started, child }
}

fn start(env: &TestEnv, script: &str, end: &str, settings: &[(&str, &str)]) -> Child {
    let mut command = env.subject(&["guarded"]);
    command.env("SCRIPT", script).env("END", end).envs(settings.iter().copied());
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

impl Hung {
    fn pid(&self, name: &str) -> u32 {
        let path = self.env.path(name);
        let mut pid = None;
        wait_for(name, || {
            pid = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
            pid.is_some()
        });
        pid.unwrap()
    }

    /// How it ended, and when.
    fn wait(&mut self) -> (ExitStatus, Duration) {
        (self.child.wait().unwrap(), self.started.elapsed())
    }

    fn wait_for_line(&self, part: &str) -> String {
        let mut found = None;
        wait_for(part, || {
            found = self.env.log_text().lines().find(|line| line.contains(part)).map(str::to_owned);
            found.is_some()
        });
        found.unwrap()
    }

    fn has_line(&self, part: &str) -> bool {
        self.env.log_text().lines().any(|line| line.contains(part))
    }
}

/// Ignoring SIGTERM, in a session of its own, forked twice, without the streams, stopped, printing all the time: all gone.
#[test]
#[cfg_attr(guard_portable, ignore = "nobody can be looked for")]
fn after_the_timeout_nothing_of_it_is_left() {
    let mut hung = hung(KINDS, "forever", &[("TIMEOUT", "1000"), ("KILL_AFTER", "1500")]);
    let pids = NAMES.map(|name| hung.pid(name));
    let (status, took) = hung.wait();
    assert_eq!(status.signal(), Some(libc::SIGTERM));
    assert!((1000..1500).contains(&took.as_millis()), "{took:?}");
    assert!(
        hung.env.closing_line().ends_with("run timed out after 1s: ended by SIGTERM"),
        "{}",
        hung.env.closing_line()
    );
    let said = hung.wait_for_line("longer than its timeout of 1s: SIGTERM, and SIGKILL 1.500s later; ");
    assert!(said.contains("[WARN ]") && said.contains("; its other processes: pid "), "{said}");
    // Those that took SIGTERM are gone at once; the lock is kept for the others.
    let [child, deaf, session, daemon, silent, stopped, chatty] = pids;
    wait_for("SIGTERM", || are_gone(&[child, session, stopped]));
    assert!(hung.started.elapsed() < Duration::from_millis(2400), "{:?}", hung.started.elapsed());
    assert!(!are_gone(&[deaf]) && !are_gone(&[daemon]) && !are_gone(&[silent]) && !are_gone(&[chatty]));
    assert!(hung.env.is_locked());
    let loser = start(&hung.env, "", "well", &[]).wait_with_output().unwrap();
    let said = String::from_utf8(loser.stderr).unwrap();
    let expected = format!("is held by what is left of pid {}, which died 20", hung.child.id());
    assert!(said.contains(&expected) && said.contains(": pid "), "{said}");
    assert_eq!(loser.status.code(), Some(9));
    wait_for("SIGKILL", || are_gone(&pids));
    let all_gone = hung.started.elapsed();
    assert!((2400..3200).contains(&all_gone.as_millis()), "{all_gone:?}");
    wait_for("the lock", || !hung.env.is_locked());
    hung.wait_for_line("[INFO ] guard_runtime: nothing is left of the run; the lock is free");
    println!("run ended after {took:?}, all gone after {all_gone:?}, lock free after {:?}", hung.started.elapsed());
}

#[test]
fn a_run_that_ignores_sigterm_is_killed() {
    let mut hung = hung("", "deaf", &[("TIMEOUT", "200"), ("KILL_AFTER", "300")]);
    let (status, took) = hung.wait();
    assert_eq!(status.signal(), Some(libc::SIGKILL));
    assert!((500..1000).contains(&took.as_millis()), "{took:?}");
    assert!(hung.env.closing_line().ends_with("run timed out after 0.200s: ended by SIGKILL"));
    wait_for("the lock", || !hung.env.is_locked());
}

/// Its helper keeps the lock that it has closed: for a run that lives, until the last of it.
#[test]
#[cfg_attr(guard_portable, ignore = "a run that has closed what leads to its helpers is dead to them")]
fn a_run_that_has_closed_its_lock_is_the_holder_until_it_is_killed() {
    let mut hung = hung("", "closes_all", &[("TIMEOUT", "1000"), ("KILL_AFTER", "2000")]);
    hung.wait_for_line("longer than its timeout of 1s: SIGTERM, and SIGKILL 2s later; ");
    let loser = start(&hung.env, "", "well", &[]).wait_with_output().unwrap();
    assert_eq!(loser.status.code(), Some(9));
    let said = String::from_utf8(loser.stderr).unwrap();
    assert!(said.contains(&format!("is held by pid {} (", hung.child.id())), "{said}");
    assert_eq!(hung.wait().0.signal(), Some(libc::SIGKILL));
    wait_for("the lock", || !hung.env.is_locked());
}

#[test]
fn a_run_may_end_in_order() {
    let mut hung = hung("", "orderly", &[("TIMEOUT", "1500")]);
    let (status, took) = hung.wait();
    assert!(status.success() && took < Duration::from_secs(4), "{took:?}");
    let closing = hung.env.closing_line();
    let (_, rest) = closing
        .split_once("[ERROR] guard_runtime: run timed out after 1.500s: then the run finished in ")
        .unwrap_or_else(|| panic!("{closing}"));
    let seconds: f64 = rest.split('s').next().unwrap().parse().unwrap();
    assert!((1.4..2.0).contains(&seconds), "{closing}");
    assert_eq!(hung.env.entries(), ["works", "tidied up"]);
}

/// The run is over and lets go of its lock, but a child of it that ignores SIGTERM is still there.
#[test]
#[cfg_attr(guard_portable, ignore = "nobody can be looked for")]
fn the_lock_is_kept_for_what_outlives_an_orderly_end() {
    let script = "sh -c 'trap \"\" TERM; echo $$ >$SUBJECT_DIR/deaf; while :; do sleep 0.01; done' &\nsleep 0.1";
    let mut hung = hung(script, "orderly", &[("TIMEOUT", "1500"), ("KILL_AFTER", "1000")]);
    let deaf = hung.pid("deaf");
    assert!(hung.wait().0.success());
    // To look whether it is locked would take it for a moment.
    wait_for("the helper's lock", || fs::read_to_string(hung.env.lock()).unwrap().contains("left_of="));
    assert!(hung.env.is_locked() && !are_gone(&[deaf]));
    wait_for("SIGKILL", || are_gone(&[deaf]));
    wait_for("the lock", || !hung.env.is_locked());
}

#[test]
fn a_stopped_run_is_ended() {
    let mut hung = hung("", "stopped", &[("TIMEOUT", "300")]);
    assert_eq!(hung.wait().0.signal(), Some(libc::SIGTERM));
}

/// With a console that takes nothing, too: then nothing is read from the streams.
#[test]
#[cfg_attr(guard_portable, ignore = "nobody can be looked for")]
fn a_run_that_prints_without_end_is_ended() {
    let env = TestEnv::new();
    let started = Instant::now();
    let mut command = env.subject(&["guarded"]);
    command.envs([("END", "chatty"), ("SCRIPT", "yes &"), ("TIMEOUT", "500"), ("KILL_AFTER", "500")]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGTERM));
    let took = started.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    let closing = env.closing_line();
    assert!(closing.ends_with("run timed out after 0.500s: ended by SIGTERM"), "{closing}");
}

/// The system's clock is set an hour ahead, and back, in the middle of a run.
#[test]
#[ignore = "root; sets the machine's clock for two seconds: not beside other work"]
fn the_timeout_goes_by_the_monotonic_clock() {
    for step in [3600, -3600] {
        let mut hung = hung("sleep 0.3", "forever", &[("TIMEOUT", "2000"), ("KILL_AFTER", "500")]);
        hung.wait_for_line("run started");
        set_clock(step);
        let (status, took) = hung.wait();
        set_clock(-step);
        println!("set by {step} s: ended after {took:?}");
        assert_eq!(status.signal(), Some(libc::SIGTERM));
        assert!((2000..2500).contains(&took.as_millis()), "{took:?}");
        let closing = hung.env.closing_line();
        assert!(closing.ends_with("run timed out after 2s: ended by SIGTERM"), "{closing}");
    }
}

/// The whole run is stopped for longer than its time, as by a debugger or a frozen control group: it is ended within five
/// seconds after it goes on.
#[test]
#[ignore = "half a minute"]
fn a_run_and_helpers_that_were_stopped_past_the_timeout() {
    let mut hung = hung("sleep 0.1", "forever", &[("TIMEOUT", "15000"), ("KILL_AFTER", "500")]);
    hung.wait_for_line("run started");
    let run = hung.child.id();
    let all = [run, helper(run, COLLECTOR), helper(run, STANDBY)];
    assert!(all.iter().all(|pid| kill(*pid, libc::SIGSTOP)));
    let stopped = Instant::now();
    while stopped.elapsed() < Duration::from_secs(16) {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(hung.child.try_wait().unwrap().is_none());
    let goes_on = Instant::now();
    assert!(all.iter().all(|pid| kill(*pid, libc::SIGCONT)));
    assert_eq!(hung.wait().0.signal(), Some(libc::SIGTERM));
    println!("ended {:?} after it goes on", goes_on.elapsed());
    assert!(goes_on.elapsed() < Duration::from_secs(6), "{:?}", goes_on.elapsed());
    let closing = hung.env.closing_line();
    assert!(closing.ends_with("run timed out after 15s: ended by SIGTERM"), "{closing}");
}

#[test]
fn a_run_within_its_time_is_left_alone() {
    let mut hung = hung("sleep 0.3", "well", &[("TIMEOUT", "20000")]);
    assert!(hung.wait().0.success());
    assert!(hung.env.closing_line().contains("run finished in"));
    assert!(!hung.has_line("lives on") && !hung.has_line("live on"));
}

/// A daemon that it started on purpose.
#[test]
#[cfg_attr(guard_portable, ignore = "nobody can be looked for")]
fn what_a_run_leaves_that_ends_well_is_named_and_lives() {
    const DAEMON: &str = "(setsid sh -c 'echo $$ >$SUBJECT_DIR/daemon; exec sleep 100' &)
        until grep -qs sleep /proc/$(cat $SUBJECT_DIR/daemon)/comm; do sleep 0.01; done";
    let mut hung = hung(DAEMON, "well", &[]);
    let daemon = hung.pid("daemon");
    assert!(hung.wait().0.success());
    let named = format!("[INFO ] guard_runtime: 1 process of this run lives on: pid {daemon} (sleep)");
    assert!(hung.env.log_text().ends_with(&(named + "\n")), "{}", hung.env.log_text());
    assert!(!hung.env.is_locked());
    assert!(!are_gone(&[daemon]));
    kill(daemon, libc::SIGKILL);
}

const WRITER: &str = "sh -c 'echo $$ >$SUBJECT_DIR/writer; while :; do echo x; sleep 0.01; done' &
    until [ -s $SUBJECT_DIR/writer ]; do sleep 0.01; done";

/// The writer is in the list: first, or behind its child, where that has a lower number.
fn names(said: &str, writer: u32) -> bool {
    [": ", ", "].iter().any(|before| said.contains(&format!("{before}pid {writer} (sh)")))
}

const WAIT: &str = "; while [ ! -e $SUBJECT_DIR/go ]; do sleep 0.01; done";

#[test]
#[cfg_attr(guard_portable, ignore = "nobody can be looked for")]
fn the_lock_of_a_run_that_died_is_kept_for_what_is_left() {
    let mut hung = hung(WRITER, "killed", &[]);
    let writer = hung.pid("writer");
    assert_eq!(hung.wait().0.signal(), Some(libc::SIGKILL));
    let named = hung.wait_for_line(" of this run live");
    assert!(
        named.ends_with(&format!("on: pid {writer} (sh); the lock is kept until they have ended"))
            || named.contains("processes of this run"),
        "{named}"
    );
    assert!(hung.env.closing_line().contains("run ended without finishing after"));
    let loser = start(&hung.env, "", "well", &[]).wait_with_output().unwrap();
    assert_eq!(loser.status.code(), Some(9));
    let said = String::from_utf8(loser.stderr).unwrap();
    assert!(said.contains(&format!("what is left of pid {}, which died 20", hung.child.id())), "{said}");
    assert!(names(&said, writer), "{said}");
    kill(writer, libc::SIGKILL);
    wait_for("the lock", || !hung.env.is_locked());
    hung.wait_for_line("nothing is left of the run; the lock is free");
    assert_eq!(fs::read(hung.env.lock()).unwrap(), b"");
}

/// Who reads in the log that processes are left finds them in the lock file's record.
#[test]
#[ignore = "needs strace"]
fn the_record_names_what_is_left_before_the_log_does() {
    let mut hung = hung(&(WRITER.to_owned() + WAIT), "killed", &[]);
    let (writer, collector) = (hung.pid("writer"), helper(hung.child.id(), COLLECTOR));
    let mut strace = strace(collector, "pwrite64:delay_enter=300000:when=2+");
    hung.env.go();
    hung.wait_for_line(" of this run live");
    let record = fs::read_to_string(hung.env.lock()).unwrap();
    let left = record.lines().find(|line| line.starts_with("left=")).unwrap_or_default();
    assert!(names(&left.replace('=', ": "), writer), "{record}");
    kill(writer, libc::SIGKILL);
    hung.wait_for_line("nothing is left of the run; the lock is free");
    hung.wait();
    strace.wait().unwrap();
}

/// A run that ends by `_exit`, as the parent of a daemon does, did not die.
#[test]
#[cfg_attr(guard_portable, ignore = "nobody can be looked for")]
fn an_exit_without_a_word_is_no_death() {
    let mut hung = hung(WRITER, "exits", &[]);
    let writer = hung.pid("writer");
    assert_eq!(hung.wait().0.code(), Some(3));
    hung.wait_for_line("of this run live");
    assert!(!hung.env.is_locked());
    kill(writer, libc::SIGKILL);
}

#[test]
#[cfg_attr(guard_portable, ignore = "nobody can be looked for")]
fn a_run_may_end_by_itself_after_the_timeout() {
    let mut hung = hung("", "exits_then", &[("TIMEOUT", "1500")]);
    assert_eq!(hung.wait().0.code(), Some(3));
    let closing = hung.env.closing_line();
    assert!(closing.ends_with("run timed out after 1.500s: then it ended by itself, exit code 3"), "{closing}");
}

/// The collector that keeps the lock is stopped: the standby takes over, and the lock is free once the child has ended.
#[test]
#[ignore = "waits ten seconds for the standby"]
fn a_stopped_collector_does_not_keep_the_lock_for_good() {
    let mut hung = hung(&(WRITER.to_owned() + WAIT), "killed", &[]);
    let (writer, run) = (hung.pid("writer"), hung.child.id());
    let [collector, standby] = [COLLECTOR, STANDBY].map(|name| helper(run, name));
    hung.env.go();
    hung.wait();
    hung.wait_for_line("the lock is kept until");
    // The next one has the lock, too.
    wait_for("another standby", || are_gone(&[standby]));
    kill(collector, libc::SIGSTOP);
    let stopped = Instant::now();
    kill(writer, libc::SIGKILL);
    wait_for("the lock", || !hung.env.is_locked());
    println!("free {:?} after the collector was stopped", stopped.elapsed());
    assert!(are_gone(&[collector]));
    hung.wait_for_line("nothing is left of the run; the lock is free");
    assert_eq!(hung.env.log_text().matches(TAKEN_OVER).count(), 1, "{}", hung.env.log_text());
}

/// The same of one that is to see to the timeout.
#[test]
#[ignore = "waits ten seconds for the standby"]
fn a_collector_stopped_before_the_timeout_is_replaced_once() {
    let settings = [("TIMEOUT", "3000"), ("KILL_AFTER", "300")];
    let mut runs: Vec<Hung> = (0..8).map(|_| hung("", "forever", &settings)).collect();
    for hung in &mut runs {
        hung.wait_for_line("run started");
        kill(helper(hung.child.id(), COLLECTOR), libc::SIGSTOP);
    }
    for hung in &mut runs {
        hung.wait();
        let closing = hung.env.closing_line();
        assert!(closing.contains("run timed out after 3s: ended by SIG"), "{closing}");
        assert_eq!(hung.env.log_text().matches(TAKEN_OVER).count(), 1, "{}", hung.env.log_text());
    }
}

#[test]
#[cfg_attr(guard_portable, ignore = "nobody can be looked for")]
fn survivors_are_killed_where_that_is_wanted() {
    let script = WRITER.replace("echo $$", "trap \"\" TERM; echo $$");
    let mut hung = hung(&script, "killed", &[("SURVIVORS", "kill"), ("KILL_AFTER", "300")]);
    let writer = hung.pid("writer");
    hung.wait();
    wait_for("the end", || are_gone(&[writer]));
    hung.wait_for_line(": SIGTERM, and SIGKILL 0.300s later; the lock is kept meanwhile");
    hung.wait_for_line("SIGKILL, 0.300s after SIGTERM: ");
    wait_for("the lock", || !hung.env.is_locked());
}

#[test]
#[cfg_attr(guard_portable, ignore = "nobody can be looked for")]
fn survivors_are_ignored_where_that_is_wanted() {
    let mut hung = hung(WRITER, "killed", &[("SURVIVORS", "ignore")]);
    let writer = hung.pid("writer");
    hung.wait();
    let said = hung.wait_for_line("of this run live");
    assert!(said.contains("[WARN ]") && !said.contains("lock"), "{said}");
    assert!(!hung.env.is_locked());
    kill(writer, libc::SIGKILL);
}

/// Whichever helper dies, the lock is not free for a moment; with both it is.
#[test]
#[cfg_attr(guard_portable, ignore = "nobody can be looked for")]
fn a_kept_lock_survives_either_helper() {
    let mut hung = hung(&(WRITER.to_owned() + WAIT), "killed", &[]);
    let (writer, run) = (hung.pid("writer"), hung.child.id());
    let helpers = [helper(run, COLLECTOR), helper(run, STANDBY)];
    hung.env.go();
    hung.wait();
    hung.wait_for_line("the lock is kept until");
    let all = || {
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| {
                let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
                let holds = |fd: fs::DirEntry| fs::read_link(fd.path()).is_ok_and(|to| to == hung.env.lock());
                let name = fs::read_to_string(entry.path().join("comm")).ok()?;
                let is_holder = fs::read_dir(entry.path().join("fd")).ok()?.flatten().any(holds);
                is_holder.then(|| (pid, name.trim().to_owned()))
            })
            .collect::<Vec<_>>()
    };
    // The old one is gone once the journal has the new one for the successor.
    wait_for("the new standby", || {
        are_gone(&helpers[1..]) && all().len() == 2 && all().iter().any(|(pid, _)| !helpers.contains(pid))
    });
    for name in [COLLECTOR, STANDBY, COLLECTOR] {
        let (pid, _) = all().into_iter().find(|(_, helper)| helper == name).unwrap();
        kill(pid, libc::SIGKILL);
        for _ in 0..20 {
            assert!(hung.env.is_locked());
        }
        wait_for("its successor", || {
            all().len() == 2
                && all().iter().all(|(other, _)| *other != pid)
                && all().iter().any(|(_, name)| name == COLLECTOR)
                && all().iter().any(|(_, name)| name == STANDBY)
        });
    }
    for (pid, _) in all() {
        kill(pid, libc::SIGSTOP);
    }
    for (pid, _) in all() {
        kill(pid, libc::SIGKILL);
    }
    wait_for("the lock", || !hung.env.is_locked());
    // Nobody reads what it prints: SIGPIPE.
    wait_for("the writer", || are_gone(&[writer]));
}

/// It handles SIGTERM, and says why it ends.
#[test]
fn the_error_of_a_run_that_was_asked_to_end_is_whole() {
    let mut hung = hung("", "fails_at_length", &[("TIMEOUT", "300")]);
    assert_eq!(hung.wait().0.code(), Some(1));
    let closing = hung.env.closing_line();
    assert!(closing.contains("run timed out after 0.300s: then the run failed in "), "{closing}");
    assert!(closing.ends_with(&format!(": {}", "x".repeat(20_000))), "{} bytes", closing.len());
}

/// Inside its namespace nothing but an exit of its own ends it.
#[test]
#[ignore = "needs root"]
fn a_run_that_is_pid_1_is_ended() {
    let inside = |script: &str, end: &str, settings: &[(&str, &str)]| {
        let env = TestEnv::new();
        let started = Instant::now();
        let subject = env.subject(&["guarded"]);
        let mut command = std::process::Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc"]).arg(subject.get_program()).arg("guarded");
        command.env("SUBJECT_DIR", env.path("")).env("SCRIPT", script).env("END", end).envs(settings.iter().copied());
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status().unwrap();
        (env, status, started.elapsed())
    };
    for end in ["deaf", "forever", "blocked", "chatty"] {
        let (env, status, took) = inside("sleep 100 &", end, &[("TIMEOUT", "300"), ("KILL_AFTER", "300")]);
        let closing = env.closing_line();
        println!("{end}: {status}, {took:?}, {closing}");
        assert_eq!(status.code(), Some(137), "{end}");
        assert!(closing.ends_with("run timed out after 0.300s: ended by SIGKILL"), "{end}: {closing}");
        assert!((600..3000).contains(&took.as_millis()), "{end}: {took:?}");
        assert!(!env.is_locked());
    }
    let (env, status, _) = inside("", "orderly", &[("TIMEOUT", "1500")]);
    assert!(status.success());
    assert!(env.closing_line().contains("run timed out after 1.500s: then the run finished in"));
    let (env, status, _) = inside("", "well", &[("TIMEOUT", "30000")]);
    assert!(status.success() && env.closing_line().contains("run finished in"));
}

/// A supervisor that was handed the run's standard output, and was there before it.
#[test]
#[cfg_attr(guard_portable, ignore = "nobody can be looked for")]
fn a_stranger_that_holds_a_stream_is_named_and_left_alone() {
    let env = TestEnv::new();
    let script = "while [ ! -s run ]; do sleep 0.01; done; exec 3>/proc/$(cat run)/fd/1; echo >held; exec sleep 100";
    let mut stranger = std::process::Command::new("sh").args(["-c", script]).current_dir(env.path("")).spawn().unwrap();
    let script = "echo $PPID >$SUBJECT_DIR/run; while [ ! -e $SUBJECT_DIR/held ]; do sleep 0.01; done";
    // Births are told in hundredths of a second.
    std::thread::sleep(Duration::from_millis(30));
    let (started, child) =
        (Instant::now(), start(&env, script, "killed", &[("SURVIVORS", "kill"), ("KILL_AFTER", "200")]));
    let mut hung = Hung { env, started, child };
    hung.wait();
    let expected = format!("not started by it, but with its output open: pid {} (s", stranger.id());
    hung.wait_for_line(&expected);
    wait_for("the end of the pursuit", || hung.has_line("nothing is left of the run; the lock is free"));
    assert_eq!(stranger.try_wait().unwrap(), None);
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

/// From the end of the child that outlived a killed run to the first line of a run that waited for the lock.
#[test]
#[ignore = "half a minute"]
fn a_waiting_run_follows_what_is_left_at_once() {
    let mut latencies: Vec<Duration> = (0..100)
        .map(|_| {
            let mut hung = hung(WRITER, "killed", &[]);
            let writer = hung.pid("writer");
            hung.wait();
            wait_for("the helper's lock", || fs::read_to_string(hung.env.lock()).unwrap().contains("\nleft=pid "));
            let loser = start(&hung.env, "", "well", &[]).wait_with_output().unwrap();
            let said = String::from_utf8(loser.stderr).unwrap();
            assert!(said.contains("what is left of pid") && names(&said, writer), "{said}");
            let mut waiter = hung.env.subject(&["wait"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut line = String::new();
            let mut stderr = std::io::BufReader::new(waiter.stderr.take().unwrap());
            std::io::BufRead::read_line(&mut stderr, &mut line).unwrap();
            assert!(line.contains("waiting up to"), "{line}");
            kill(writer, libc::SIGKILL);
            let killed = Instant::now();
            line.clear();
            let mut stdout = std::io::BufReader::new(waiter.stdout.take().unwrap());
            std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
            let latency = killed.elapsed();
            assert_eq!(line, "mine\n");
            assert!(waiter.wait().unwrap().success());
            latency
        })
        .collect();
    latencies.sort_unstable();
    println!("median {:?}, 90 of 100 within {:?}, most {:?}", latencies[50], latencies[89], latencies[99]);
    assert!(latencies[50] < Duration::from_millis(50), "{latencies:?}");
}

/// Whichever helper is killed and whenever, the run ends in time, and nothing of it is left.
#[test]
#[ignore = "minutes"]
fn two_hundred_timeouts_with_a_helper_killed() {
    support::repeat(200, |number| {
        let (timeout, kill_after) = (1500 + support::random(500), 300);
        let script = r#"
            sh -c 'echo $$ >$SUBJECT_DIR/deaf; trap "" TERM; while :; do sleep 0.02; done' &
            (sh -c 'echo $$ >$SUBJECT_DIR/silent; exec >/dev/null 2>&1; trap "" TERM; while :; do sleep 0.02; done'; :) &
            (setsid sh -c 'echo $$ >$SUBJECT_DIR/daemon; trap "" TERM; while :; do sleep 0.02; done' &)
        "#;
        let end = if number % 3 == 0 { "deaf" } else { "forever" };
        let mut hung = hung(script, end, &[("TIMEOUT", &timeout.to_string()), ("KILL_AFTER", "300")]);
        let helpers = [helper(hung.child.id(), COLLECTOR), helper(hung.child.id(), STANDBY)];
        let pids = ["deaf", "silent", "daemon"].map(|name| hung.pid(name));
        let moment = Duration::from_millis(timeout - 500 + support::random(500 + 2 * kill_after));
        std::thread::sleep(moment.saturating_sub(hung.started.elapsed()));
        kill(helpers[usize::from(number % 2 == 1)], libc::SIGKILL);
        let (status, took) = hung.wait();
        assert!(status.signal().is_some(), "{status}");
        let limit = Duration::from_millis(timeout + kill_after + 10_000);
        while !are_gone(&pids) {
            assert!(
                hung.started.elapsed() < limit,
                "{pids:?} {helpers:?} {number} {moment:?}\n{}",
                hung.env.log_text()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        let late = hung.started.elapsed().as_millis() as u64 - timeout - kill_after;
        println!(
            "timeout {timeout} ms, a helper killed after {moment:?}: run over after {took:?}, all gone {late} ms late"
        );
        assert!(late < 2500, "{late} ms late");
        assert!(hung.env.closing_line().contains("run timed out after"), "{}", hung.env.log_text());
        wait_for("the lock", || !hung.env.is_locked());
    });
}
