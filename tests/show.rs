//! `GUARD_SHOW`: the configuration in place of a run. Nothing is made, no lock is tried.
#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use support::{TestEnv, is_root, text, wait_for};

fn show(env: &TestEnv, arguments: &[&str]) -> Output {
    env.subject(arguments).env("GUARD_SHOW", "subject").output().unwrap()
}

/// What is printed, with the test's directory as DIR.
fn shown(env: &TestEnv, output: &Output) -> String {
    assert_eq!(text(&output.stderr), "");
    text(&output.stdout).replace(&env.path("").display().to_string(), "DIR/")
}

/// Everything below a directory: when it was changed last, and what is in it.
fn everything(directory: &Path) -> BTreeMap<String, (std::time::SystemTime, Vec<u8>)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(everything(&path));
        }
        let changed = path.symlink_metadata().unwrap().modified().unwrap();
        found.insert(path.display().to_string(), (changed, fs::read(&path).unwrap_or_default()));
    }
    found
}

const ALL: &str = r#"subject: the configuration of the program; nothing is run

lock                DIR/locks/north%2F1.lock
                      from "${SUBJECT_DIR}/locks/{tenant}.lock"
                      not there yet
log                 DIR/logs/run.log
                      from "${SUBJECT_DIR}/logs/run.log"
                      not there yet
max_size            512KiB
backups             30
level               debug
console_level       warn
logger              false
tee                 stdout
console             on_failure
wait                30s
conflict_exit_code  42
stuck_after         6h
timeout             1h 30m
kill_after          1m
survivors           kill
status              DIR/status/north%2F1.json
                      from "${SUBJECT_DIR}/status/{tenant}.json"
metrics             DIR/metrics/run.prom
                      from "${SUBJECT_DIR}/metrics/run.prom"
on_end              echo $GUARD_STATE

a run could be set up
"#;

#[test]
fn every_argument() {
    let env = TestEnv::new();
    let output = show(&env, &["all", "north/1"]);
    println!("{}", text(&output.stdout));
    assert_eq!(output.status.code(), Some(0));
    // The rows of a cluster lock are there with the feature.
    let shown = shown(&env, &output);
    let of_cluster = |line: &&str| ["cluster_", "on_lock_lost"].iter().any(|name| line.starts_with(name));
    let local: String = shown.split_inclusive('\n').filter(|line| !of_cluster(line)).collect();
    assert_eq!(local, ALL);
    assert_eq!(everything(&env.path("")).len(), 0, "nothing is made");
    // The table of the documentation has them in the same order.
    let documented = include_str!("../guard-runtime/src/attribute.md").lines();
    let names = documented.filter_map(|line| line.strip_prefix("| `")?.split_once("` | ")).map(|(name, _)| name);
    let names = names.skip_while(|name| *name != "lock").take_while(|name| *name != "crate");
    let names: Vec<&str> = names.filter(|name| cfg!(feature = "postgres") || !of_cluster(name)).collect();
    let rows = shown.lines().skip(2).take_while(|line| !line.is_empty()).filter_map(|line| line.split(' ').next());
    let rows: Vec<&str> = rows.filter(|name| !name.is_empty()).collect();
    assert_eq!(rows, names);
}

/// What is not given is marked, and files that are there are looked at.
#[test]
fn defaults_and_the_run_before() {
    let env = TestEnv::new();
    assert!(env.run(&["hold"]).status.success());
    let closing = env.closing_line();
    let before = everything(&env.path(""));
    let output = env.subject(&["hold"]).envs([("GUARD_SHOW", "subject"), ("RUST_LOG", "warn")]).output().unwrap();
    let shown = shown(&env, &output);
    println!("{shown}");
    assert_eq!(output.status.code(), Some(0));
    for part in [
        "run.lock\"\n                      no run that lives is named in it\n",
        " bytes\n",
        &format!("                      last end of a run: {closing}\n"),
        "max_size            5MB (default)\nbackups             5 (default)\nlevel               info (default)\n",
        "                      RUST_LOG replaces it: warn\nconsole_level       all that are kept (default)\n",
        "wait                none (default)\nconflict_exit_code  0 (default)\n",
        "kill_after          30s (default)\nsurvivors           hold (default)\nstatus              none (default)\n",
    ] {
        assert!(shown.contains(part), "{part}");
    }
    assert_eq!(everything(&env.path("")), before, "nothing is changed");
}

#[test]
fn a_relative_path_is_shown_as_what_it_is() {
    let env = TestEnv::new();
    let mut command = env.subject(&["mixed", "1"]);
    let output = command.env("SUBJECT_DIR", "below").env("GUARD_SHOW", "subject").current_dir(env.path("")).output();
    let shown = shown(&env, &output.unwrap());
    assert!(shown.contains("\nlock                DIR/below/locks/run.lock\n"), "{shown}");
}

#[test]
fn a_lock_that_is_held() {
    let env = TestEnv::new();
    let mut holder = env
        .subject(&["sync", "north"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let log = env.path("logs/north.log");
    wait_for("it to run", || fs::read_to_string(&log).unwrap_or_default().contains("] subject::tenants: for north\n"));
    let before = everything(&env.path(""));
    let output = show(&env, &["sync", "north"]);
    let shown = shown(&env, &output);
    println!("{shown}");
    assert_eq!(output.status.code(), Some(0), "a run could be set up, if not now");
    let held = format!("                      held by pid {} (", holder.id());
    let line = shown.lines().find(|line| line.starts_with(&held)).expect("the holder");
    assert!(line.contains("subject), started 2") && line.ends_with("s ago"), "{line}");
    assert!(shown.contains("no end of a run in the newest 64MiB of it and its backups\n"), "{shown}");
    assert_eq!(everything(&env.path("")), before, "nothing is changed");
    assert!(fs::read_to_string("/proc/locks").is_ok_and(|locks| locks.contains(&format!(" {} ", holder.id()))));
    // Of a holder that was killed with its helpers, the record is left.
    let helpers: Vec<u32> = support::helpers(holder.id()).into_iter().map(|(pid, _)| pid).collect();
    assert!(helpers.iter().all(|pid| support::kill(*pid, libc::SIGSTOP)));
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(fs::read_to_string(env.path("locks/north.lock")).unwrap().contains("pid="));
    let shown = text(&show(&env, &["sync", "north"]).stdout);
    assert!(shown.contains("no run that lives is named in it\n"), "{shown}");
    assert!(helpers.iter().all(|pid| support::kill(*pid, libc::SIGKILL)));
}

#[test]
fn a_variable_that_is_not_set() {
    let env = TestEnv::new();
    let output = show(&env, &["unset"]);
    let shown = shown(&env, &output);
    println!("{shown}");
    assert_eq!(output.status.code(), Some(73));
    for part in [
        "lock                \"${SURELY_NOT_SET}/run.lock\"\n                      the variable SURELY_NOT_SET is not set;",
        "status              \"${NOR_THIS}.json\"\n                      the variable NOR_THIS is not set;",
        "\nlog                 DIR/logs/run.log\n",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    let last = shown.lines().last().unwrap();
    let reason =
        "a run cannot be set up: lock = \"${SURELY_NOT_SET}/run.lock\": the variable SURELY_NOT_SET is not set; ";
    assert!(last.starts_with(reason), "{last}");
    assert_eq!(everything(&env.path("")).len(), 0);
}

/// The reason is the one that a run gives.
#[test]
fn surroundings_in_which_no_run_can_be_set_up() {
    type Spoil = fn(&TestEnv);
    let cases: [Spoil; 6] = [
        |env| fs::write(env.path("logs"), "").unwrap(),
        |env| fs::create_dir_all(env.lock()).unwrap(),
        |env| fs::create_dir_all(env.log()).unwrap(),
        |env| fs::create_dir_all(env.path("status/x.json")).unwrap(),
        |env| {
            // Another user's log where anybody may put one.
            fs::create_dir(env.path("logs")).unwrap();
            fs::set_permissions(env.path("logs"), Permissions::from_mode(0o1777)).unwrap();
            if is_root() {
                fs::write(env.path("logs/run.log.3"), "").unwrap();
                std::os::unix::fs::chown(env.path("logs/run.log.3"), Some(4711), None).unwrap();
            }
        },
        |env| {
            fs::create_dir(env.path("locks")).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", env.path("locks/x.lock")).unwrap();
            std::os::unix::fs::symlink("/etc/passwd", env.lock()).unwrap();
        },
    ];
    for spoil in cases {
        let env = TestEnv::new();
        spoil(&env);
        let before = everything(&env.path(""));
        for arguments in [["mixed", "1"], ["all", "x"]] {
            let output = show(&env, &arguments);
            assert_eq!(everything(&env.path("")), before);
            let shown = shown(&env, &output);
            let Some(reason) = shown.lines().last().unwrap().strip_prefix("a run cannot be set up: ") else {
                assert_eq!(output.status.code(), Some(0), "{shown}");
                continue;
            };
            println!("{reason}");
            assert_eq!(output.status.code(), Some(73), "{shown}");
            let other = TestEnv::new();
            spoil(&other);
            let said = text(&other.run(&arguments).stderr).replace(&other.path("").display().to_string(), "DIR/");
            assert_eq!(said, format!("subject: {reason}\n"));
        }
    }
}

#[test]
fn a_user_who_may_not_write() {
    for locked in ["locks", "logs", ""] {
        let env = TestEnv::new();
        let mode = |mode| fs::set_permissions(env.path(locked), Permissions::from_mode(mode)).unwrap();
        fs::create_dir_all(env.path(locked)).unwrap();
        mode(0o555);
        let run = || env.subject_of_user(1000, &["hold"]);
        let output = run().env("GUARD_SHOW", "subject").output().unwrap();
        let shown = shown(&env, &output);
        println!("{}", shown.lines().last().unwrap());
        assert_eq!(output.status.code(), Some(73));
        let said = text(&run().output().unwrap().stderr).replace(&env.path("").display().to_string(), "DIR/");
        let reason = said.strip_prefix("subject: ").unwrap();
        assert!(reason.contains("Permission denied") && shown.ends_with(reason), "{shown}\n{said}");
        mode(0o755);
    }
}

/// For another program it is none of this one's business.
#[test]
fn a_stray_variable() {
    for value in ["other", "", "1", "subject2", "/bin/subject"] {
        let env = TestEnv::new();
        let output = env.subject(&["twice"]).env("GUARD_SHOW", value).output().unwrap();
        assert!(output.status.success());
        assert_eq!((text(&output.stdout), text(&output.stderr)), (String::new(), String::new()), "{value}");
        assert_eq!(env.log_text().matches("run finished in").count(), 2, "{value}");
    }
}

/// An async function is shown where it would begin; the builder too, behind what was printed before.
#[test]
fn wherever_a_run_would_begin() {
    for (mode, before) in [("later", "made\n"), ("built", "printed before, ")] {
        let env = TestEnv::new();
        let output = show(&env, &[mode]);
        let shown = shown(&env, &output);
        assert_eq!(output.status.code(), Some(0), "{shown}");
        assert!(shown.starts_with(&format!("{before}subject: the configuration of the program")), "{shown}");
        assert!(shown.ends_with("\na run could be set up\n"), "the process ends there: {shown}");
        assert!(shown.contains(if mode == "built" {
            "backups             7\n"
        } else {
            "backups             5 (default)\n"
        }));
    }
}

/// The kernel's word for it.
#[test]
#[ignore = "needs strace"]
fn no_system_call_makes_a_file_or_takes_a_lock() {
    let env = TestEnv::new();
    let mut holder = env.holder();
    for mode in ["hold", "all"] {
        let trace = env.path("trace");
        let mut command = Command::new("strace");
        command
            .args(["-f", "-qq", "-e", "trace=%file,%desc,%network", "-o"])
            .arg(&trace)
            .arg(env!("CARGO_BIN_EXE_subject"))
            .args([mode, "7"]);
        let output = command.env("SUBJECT_DIR", env.path("")).env("GUARD_SHOW", "subject").output().expect("strace");
        assert!(output.status.success() && text(&output.stdout).contains("a run could be set up"));
        let calls = fs::read_to_string(&trace).unwrap();
        assert!(calls.contains("/locks/") && calls.contains("/logs/run.log"), "{calls}");
        let changes = [
            "O_CREAT",
            "O_RDWR",
            "O_WRONLY",
            "flock(",
            "F_SETLK",
            "F_OFD_SETLK",
            "mkdir",
            "unlink",
            "rename",
            "connect(",
        ];
        for call in calls.lines().filter(|call| !call.contains("\"/dev/")) {
            assert!(!changes.iter().any(|change| call.contains(change)), "{call}");
        }
        fs::remove_file(trace).unwrap();
    }
    drop(holder.stdin.take());
    holder.wait().unwrap();
}
