//! The lock held by PostgreSQL where the network fails: three network namespaces, a server and two hosts.
//!
//! `ROUNDS` says how often the long ones do it.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use support::cluster::Host;
use support::postgres::{Cut, Network, Psql, Server, now, settled};
use support::{kill, repeat, set_clock, wait_for};

/// `cluster_timeout` of all that is cut here.
const T: f64 = 6.0;

fn rounds(by_default: u64) -> u64 {
    std::env::var("ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(by_default)
}

/// A server that both hosts reach, and hosts that reach nothing else.
fn network() -> (Network, Server) {
    let network = Network::new();
    let server = Server::with(Some(&network.server()), "listen_addresses = '*'", "host all all all scram-sha-256");
    (network, server)
}

/// Starts a run on a host and waits until it holds.
fn hold(network: &Network, server: &Server, number: usize, mode: &str, more: &[(&str, &str)]) -> (Host, Child) {
    let host = Host::new();
    let mut command = host.command(mode, &Network::url(server, number));
    command.envs(more.iter().copied());
    let child = host.hold(&mut network.on(number, &command));
    (host, child)
}

/// When the server lets the next one in.
fn free_at(psql: &mut Psql) -> f64 {
    let start = now();
    while psql.ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") != "0" {
        assert!(now() - start < 60.0, "the server keeps the lock");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    now()
}

fn summary(what: &str, values: &mut [f64]) {
    values.sort_by(f64::total_cmp);
    let (least, most) = (values[0], values[values.len() - 1]);
    println!(
        "{what}: least {least:.3}, median {:.3}, most {most:.3} ({} times)",
        values[values.len() / 2],
        values.len()
    );
}

/// Start, overlap, kill -9 of the holder, again and again; a table with an exclusion constraint knows of every run.
#[test]
#[ignore = "root: network namespaces; ROUNDS=500 takes five minutes"]
fn two_hosts_take_turns() {
    let (network, server) = network();
    let mut psql = server.psql();
    psql.ask("CREATE TABLE runs (during numrange, EXCLUDE USING gist (during WITH &&))");
    let (mut holder, mut runs, mut turns, mut frees) =
        (hold(&network, &server, 0, "work", &[]), 0, Vec::new(), Vec::new());
    for round in 1..=rounds(10) {
        let number = (round % 2) as usize;
        let next = Host::new();
        let mut command = next.command("work", &Network::url(&server, number));
        command.env("WAIT", "60s");
        let mut command = network.on(number, &command);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for("the next one", || {
            psql.ask("SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'guard %'") == "2"
        });
        std::thread::sleep(std::time::Duration::from_millis(support::random(300)));
        let (host, mut killed) = holder;
        let begun = now();
        kill(killed.id(), libc::SIGKILL);
        wait_for("the next holder", || next.log().contains("] held\n"));
        killed.wait().unwrap();
        let ([first, last, _], [taken, _, _]) = (host.times(), next.times());
        turns.push((taken - begun) * 1e3);
        // An overlap is an error of psql's, which the answer does not hide.
        assert_eq!(
            psql.ask(&format!("INSERT INTO runs VALUES (numrange({first}, {last}, '[]')) RETURNING 'well'")),
            "well"
        );
        runs += 1;
        holder = (next, child);
        if round % 10 == 0 {
            // How soon the server itself is free, without anybody's poll.
            let (_, mut child) = holder;
            let begun = now();
            kill(child.id(), libc::SIGKILL);
            while psql.ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") != "0" {}
            frees.push((now() - begun) * 1e3);
            child.wait().unwrap();
            holder = hold(&network, &server, 0, "work", &[]);
        }
    }
    drop(holder.1.stdin.take());
    settled(&mut holder.1);
    println!("{runs} runs, {} overlaps", runs - psql.ask("SELECT count(*) FROM runs").parse::<u64>().unwrap());
    summary("kill -9 to the next holder's first instruction, ms", &mut turns);
    summary("kill -9 to the server's being free, ms", &mut frees);
}

/// How a holder's link fails, and how the holder is kept from noticing.
fn cut(what: Cut, mode: &str, keep: impl Fn(&Child) -> i32 + Sync, ends_by: i32, distance: f64) {
    let all = Mutex::new([Vec::new(), Vec::new(), Vec::new(), Vec::new()]);
    repeat(rounds(1), |_| {
        let (network, server) = network();
        let mut psql = server.psql();
        let (host, mut holder) = hold(&network, &server, 0, mode, &[]);
        std::thread::sleep(std::time::Duration::from_millis(support::random(1500)));
        let traced = keep(&holder);
        let begun = now();
        network.cut(0, what);
        let free = free_at(&mut psql);
        network.mend(0);
        reap(traced);
        let status = settled(&mut holder);
        let last = host.times()[1];
        assert_eq!(status.signal(), Some(ends_by), "{}", host.log());
        // Where the watcher is stopped nobody notices: the kernel ends the run.
        let noticed = if host.log().contains("is lost: ") { host.noticed_at() - begun } else { f64::NAN };
        let distance = free - last;
        for (values, value) in all.lock().unwrap().iter_mut().zip([noticed, last - begun, free - begun, distance]) {
            values.push(value);
        }
    });
    let [mut noticed, mut last, mut free, mut distances] = all.into_inner().unwrap();
    println!("{what:?}, {mode}:");
    for (what, values) in [
        ("noticed after", &mut noticed),
        ("last instruction", &mut last),
        ("free", &mut free),
        ("distance", &mut distances),
    ] {
        summary(what, values);
    }
    assert!(distances[0] > distance, "{}", distances[0]);
}

const NOTHING: fn(&Child) -> i32 = |_| 0;

#[test]
#[ignore = "root: network namespaces"]
fn the_link_goes_down() {
    cut(Cut::Down, "work", NOTHING, libc::SIGTERM, T / 3.0);
}

#[test]
#[ignore = "root: network namespaces"]
fn nothing_reaches_the_server() {
    cut(Cut::ToServer, "work", NOTHING, libc::SIGTERM, T / 3.0);
}

#[test]
#[ignore = "root: network namespaces"]
fn nothing_comes_from_the_server() {
    cut(Cut::FromServer, "work", NOTHING, libc::SIGTERM, T / 3.0);
}

#[test]
#[ignore = "root: network namespaces"]
fn nothing_passes() {
    cut(Cut::Both, "work", NOTHING, libc::SIGTERM, T / 3.0);
}

#[test]
#[ignore = "root: network namespaces"]
fn a_run_that_ignores_sigterm() {
    cut(Cut::Both, "stubborn", NOTHING, libc::SIGKILL, T / 6.0);
}

#[test]
#[ignore = "root: network namespaces"]
fn a_watcher_that_is_stopped() {
    cut(Cut::Both, "work", |holder| stop_watcher(holder.id()), libc::SIGKILL, T / 6.0);
}

/// Not one more instruction after it goes on: it is dead by then.
#[test]
#[ignore = "root: network namespaces"]
fn a_run_that_is_stopped() {
    cut(
        Cut::Down,
        "work",
        |holder| {
            assert!(kill(holder.id(), libc::SIGSTOP));
            0
        },
        libc::SIGKILL,
        T / 6.0,
    );
}

#[test]
#[ignore = "root: network namespaces"]
fn a_run_that_is_told() {
    let values = Mutex::new(Vec::new());
    repeat(rounds(1), |_| {
        let (network, server) = network();
        let (host, mut holder) = hold(&network, &server, 0, "tell", &[("ON_LOCK_LOST", "tell")]);
        network.cut(0, Cut::Both);
        let begun = now();
        assert!(settled(&mut holder).success());
        values.lock().unwrap().push(host.times()[1] - begun);
    });
    let mut values = values.into_inner().unwrap();
    summary("lock_lost() is true after", &mut values);
    // The last heartbeat that was answered was sent before the cut.
    assert!(values[values.len() - 1] < T * 2.0 / 3.0 + 0.1);
}

/// A short failure ends nothing. TCP waits twice as long after each try: an outage of two seconds is over for it after three,
/// or six.
#[test]
#[ignore = "root: network namespaces"]
fn a_link_that_comes_back() {
    let (network, server) = network();
    let (host, mut holder) = hold(&network, &server, 0, "work", &[("CLUSTER_TIMEOUT", "15s")]);
    for _ in 0..rounds(1) {
        network.cut(0, Cut::Both);
        std::thread::sleep(std::time::Duration::from_millis(2000));
        network.mend(0);
        let begun = now();
        wait_for("some heartbeats", || now() - begun > 7.0);
        assert_eq!(holder.try_wait().unwrap(), None, "{}", host.log());
    }
    drop(holder.stdin.take());
    assert!(settled(&mut holder).success());
}

/// In a process' own PID namespace nothing that ends others ends it.
#[test]
#[ignore = "root: a PID namespace"]
fn the_first_process_of_a_namespace() {
    let server = Server::new();
    let mut psql = server.psql();
    for (mode, stops_watcher, code) in
        [("work", false, 143), ("stubborn", false, 137), ("deaf", false, 137), ("work", true, 137)]
    {
        wait_for("no session to be left", || server.holders().is_empty());
        let host = Host::new();
        let command = host.command(mode, &server.url());
        let mut inside = Command::new("unshare");
        inside.args(["--pid", "--fork", "--mount-proc"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            inside.env(name, value.unwrap_or_default());
        }
        let mut holder = host.hold(inside.env("CLUSTER_TIMEOUT", "3s"));
        let first = children(holder.id())[0];
        let terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'guard %'";
        let traced = if stops_watcher {
            stop_watcher(first)
        } else {
            psql.ask(terminate);
            0
        };
        let begun = now();
        reap(traced);
        let status = settled(&mut holder);
        println!("{mode}, watcher stopped: {stops_watcher}: {status} after {:.3}", host.times()[1] - begun);
        assert_eq!(status.code(), Some(code), "{}", host.log());
        assert!(host.times()[1] - begun < 3.2);
    }
}

fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    list.split_ascii_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Stops one thread, as a debugger does; it stays so until it dies.
fn stop_watcher(pid: u32) -> i32 {
    let mut watcher = 0;
    wait_for("the watcher", || {
        let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
        let mut threads =
            threads.map(|thread| (thread.file_name(), fs::read_to_string(thread.path().join("comm")).unwrap()));
        let found = threads.find(|(_, name)| name == "guard-lock\n");
        watcher = found.and_then(|(number, _)| number.to_str()?.parse().ok()).unwrap_or(0);
        watcher != 0
    });
    // SAFETY: on a thread of a process that the test started.
    #[allow(unsafe_code)]
    unsafe {
        assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, watcher, 0, 0), 0);
        assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, watcher, 0, 0), 0);
    }
    wait_for("the stop", || {
        fs::read_to_string(format!("/proc/{pid}/task/{watcher}/stat")).is_ok_and(|stat| stat.contains(") t "))
    });
    watcher
}

/// Waits for the death of a thread that this one has stopped: until then its process does not end. A 0 is none.
fn reap(thread: i32) {
    if thread != 0 {
        wait_for("the thread's death", || {
            let mut status = 0;
            // SAFETY: waits for a thread that this one traces.
            #[allow(unsafe_code)]
            let reaped = unsafe { libc::waitpid(thread, &raw mut status, libc::__WALL | libc::WNOHANG) };
            // Before that its stop is told.
            reaped == -1 || reaped == thread && !libc::WIFSTOPPED(status)
        });
    }
}

#[test]
#[ignore = "root; sets the machine's clock for ten seconds: not beside other work"]
fn a_clock_that_is_set() {
    let (network, server) = network();
    for step in [3600, -3600] {
        let (host, mut holder) = hold(&network, &server, 0, "work", &[]);
        let begun = now();
        set_clock(step);
        while now() - begun < 5.0 {
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        let lives = holder.try_wait().unwrap().is_none();
        set_clock(-step);
        assert!(lives, "{}", host.log());
        drop(holder.stdin.take());
        assert!(settled(&mut holder).success());
    }
}
