//! Under a real systemd: what `stop` and `kill` leave in log and journal; the units of examples/deploy.
#![allow(missing_docs)]

mod support;

use std::fs;

use support::machine::{Machine, units};
use support::{log_line, wait_for};

/// How many of its lines are in the text, which must be the first so many, in order.
fn lines_of(who: &str, printed: &str) -> u64 {
    let prefix = format!("{who} line ");
    let numbers =
        printed.lines().filter_map(|line| line.strip_prefix(&*prefix)?.split(' ').next()?.parse::<u64>().ok());
    let mut count = 0;
    for number in numbers {
        assert_eq!(number, count, "{who}: in order, without a gap");
        count += 1;
    }
    count
}

/// The default, KillMode=control-group: systemd waits for the helpers, so log and journal have everything.
#[test]
#[ignore = "needs root and systemd-nspawn"]
fn nothing_is_lost_to_stop_and_to_the_kill_of_the_program() {
    let machine = Machine::boot();
    let kill_main: &[&str] = &["systemctl", "kill", "--kill-whom=main", "--signal=SIGKILL", "printing"];
    let cases: [(&str, &[&str], &str, &str); 3] = [
        ("", &["systemctl", "stop", "printing"], "killed by SIGTERM", "success"),
        ("", kill_main, "killed by SIGKILL", "signal"),
        ("RuntimeMaxSec=3s", &[], "killed by SIGTERM", "timeout"),
    ];
    for (settings, command, end, result) in cases {
        let id = machine.start_printing(settings);
        if let Some((program, _)) = command.split_first() {
            assert_eq!((*program, &*machine.says(command)), ("systemctl", ""));
        }
        machine.wait_for_state("printing", &["inactive", "failed"]);
        assert_eq!(machine.property("printing", "Result"), result);
        assert!(machine.env.closing_line().ends_with(end), "{}", machine.env.closing_line());
        let (entries, journal) =
            (machine.env.entries().join("\n"), machine.journal(&format!("_SYSTEMD_INVOCATION_ID={id}")));
        for (who, printed) in ["run", "child"].into_iter().zip(machine.env.counters()) {
            let logged = lines_of(who, &entries);
            assert!(logged >= printed, "{who}, {end}: {printed} printed, {logged} in the log");
            assert_eq!(lines_of(who, &journal), logged, "{who}, {end}: in the journal");
        }
        assert!(!machine.env.is_locked());
    }
}

/// The helpers die too: with the program, or (KillMode=mixed) as soon as it is dead. The next run says what became of it.
#[test]
#[ignore = "needs root and systemd-nspawn"]
fn the_next_run_tells_of_one_that_was_killed_with_its_helpers() {
    let machine = Machine::boot();
    let kill_all = |signal| machine.says(&["systemctl", "kill", "--kill-whom=all", signal, "printing"]);
    for settings in ["", "KillMode=mixed"] {
        machine.start_printing(settings);
        let pid = machine.property("printing", "MainPID");
        if settings.is_empty() {
            // systemd kills one after the other, and helpers that are stopped do not write the closing line meanwhile.
            assert_eq!(kill_all("--signal=SIGSTOP") + &kill_all("--signal=SIGKILL"), "");
        } else {
            assert_eq!(machine.says(&["systemctl", "stop", "printing"]), "");
        }
        machine.wait_for_state("printing", &["inactive", "failed"]);
        assert!(!machine.env.is_locked());
        let entries = machine.env.entries().join("\n");
        assert!(lines_of("run", &entries) > 0 && lines_of("child", &entries) > 0);
        // Under `mixed` they may have been quicker.
        let told_itself = machine.env.log_text().lines().any(log_line::is_closing);
        assert!(!(told_itself && settings.is_empty()), "{}", machine.env.log_text());
        assert_eq!(machine.says(&["systemctl", "start", "printing"]), "");
        wait_for("the next run", || machine.env.log_text().matches("guard_runtime: run started").count() == 2);
        let (log, told) = (machine.env.log_text(), format!("] guard_runtime: run of pid {pid}, started "));
        let is_told = |line: &&str| line.contains(&told) && line.ends_with(", ended without a trace");
        // Of one that was killed between its closing line and what the lock's record says of that, both stand.
        let times = log.lines().filter(is_told).count();
        assert!(times == 1 || told_itself && times == 0, "told {times} times\n{log}");
        machine.says(&["systemctl", "stop", "printing"]);
    }
}

#[test]
#[ignore = "needs root and systemd-nspawn, takes minutes"]
fn a_thousand_runs() {
    let machine = Machine::boot();
    machine.install("short", "short", "Type=oneshot");
    let run = "systemctl start short || echo failed; flock -n $0 true || echo locked; pgrep guard- && echo left";
    let lock = machine.env.lock();
    assert_eq!(
        machine.says(&["sh", "-c", &format!("for i in $(seq 1000); do {run}; done"), lock.to_str().unwrap()]),
        ""
    );
    let (log, journal) = (machine.env.log_text(), machine.journal("_SYSTEMD_UNIT=short.service"));
    let count = |what| (log.matches(what).count(), journal.matches(what).count());
    assert_eq!(
        (count("run finished in "), count("line 000000"), count("child ")),
        ((1000, 0), (20000, 20000), (2000, 2000))
    );
}

/// Two instances of one template, one of them stopped in the middle of its work.
#[test]
#[ignore = "needs root and systemd-nspawn"]
fn tenants_run_side_by_side() {
    const FILES: usize = 20_000;
    let machine = Machine::boot();
    for tenant in ["north", "south"] {
        let folder = machine.env.path("tenants").join(tenant);
        fs::create_dir(&folder).unwrap();
        for file in 0..FILES {
            fs::write(folder.join(format!("{tenant}-{file}")), "a line\n").unwrap();
        }
    }
    let log = |tenant: &str| machine.says(&["cat", &format!("/var/log/sync/{tenant}.log")]);
    assert_eq!(machine.says(&["systemctl", "start", "--no-block", "sync@north"]), "");
    wait_for("the first tenant's run", || log("north").contains("] guard_runtime: run started: "));
    assert_eq!(machine.says(&["systemctl", "kill", "--kill-whom=main", "--signal=SIGSTOP", "sync@north"]), "");
    assert_eq!(machine.says(&["systemctl", "start", "sync@south"]), "");
    assert_eq!(machine.property("sync@north", "ActiveState"), "activating", "{}", log("north"));
    assert!(log("south").contains(&format!("] sync: south: {FILES} files copied")), "{}", log("south"));
    assert!(!log("north").contains("files copied"));
    let held = machine.says(&["flock", "-n", "/run/sync/sync-north.lock", "echo", "free"]);
    assert_eq!(held, "", "the other's end has not taken the lock away");
    assert_eq!(machine.says(&["systemctl", "kill", "--signal=SIGCONT", "sync@north"]), "");
    machine.wait_for_state("sync@north", &["inactive"]);
    for (tenant, other) in [("north", "south"), ("south", "north")] {
        let log = log(tenant);
        assert!(log.lines().any(|line| log_line::is_closing(line) && line.contains("run finished in")), "{log}");
        assert_eq!(log.matches(&format!("/sync/{tenant}/{tenant}-")).count(), FILES);
        assert!(!log.contains(other), "a log for each");
    }
}

/// The nightly unit as it is, and what systemd makes of every unit file.
#[test]
#[ignore = "needs root and systemd-nspawn"]
fn the_unit_files() {
    let machine = Machine::boot();
    for unit in units() {
        let unit = format!("/etc/systemd/system/{}", unit.file_name().unwrap().display());
        assert_eq!(machine.says(&["systemd-analyze", "verify", "--man=no", &unit]), "", "{unit}");
    }
    let said = machine.says(&["systemctl", "start", "nightly"]);
    let journal = machine.journal("_SYSTEMD_UNIT=nightly.service");
    assert_eq!(said, "", "{journal}");
    assert!(journal.contains("spoilt-rows.csv, line 7"), "{journal}");
    let log = machine.says(&["cat", "/var/log/nightly/nightly.log"]);
    assert!(log.lines().last().is_some_and(|line| line.contains("] guard_runtime: run finished in ")), "{log}");
    let status = machine.says(&["cat", "/var/lib/nightly/nightly.json"]);
    assert!(status.contains(r#""state": "succeeded""#), "{status}");
    let metrics = machine.says(&["cat", "/var/lib/nightly/nightly.prom"]);
    assert!(metrics.contains(r#"guard_run_last_succeeded{task="nightly"} 1"#), "{metrics}");
}
