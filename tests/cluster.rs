//! The lock held by PostgreSQL: real servers, poolers, networks and deaths.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::cluster::Host;
use support::postgres::{ENCODED, PASSWORD, Server, as_server, now, settled};
use support::{kill, text, wait_for};

#[test]
fn one_of_two_hosts() {
    let server = Server::new();
    let (one, two) = (Host::new(), Host::new());
    let mut holder = one.hold(&mut one.command("work", &server.url()));
    let named = format!("lock {}, cluster lock `run` (PostgreSQL at 127.0.0.1:", one.env.path("run.lock").display());
    assert!(one.log().contains(&named), "{}", one.log());
    let loser = two.run("work", &server.url());
    let said = text(&loser.stderr);
    assert_eq!(loser.status.code(), Some(3), "{said}");
    let hostname = text(&Command::new("hostname").output().unwrap().stdout);
    let named = format!(
        "run skipped: the cluster lock `run` (PostgreSQL at 127.0.0.1:{}) is held by `guard run pid ",
        server.port
    );
    assert!(said.contains(&named) && said.contains(hostname.trim()), "{said}");
    assert!(said.contains(" at 127.0.0.1, connected 20") && said.contains("s ago"), "{said}");
    assert!(two.log().contains("[WARN ] guard_runtime: run skipped: the cluster lock `run`"), "{}", two.log());
    // Another name is another lock.
    let other = Host::new();
    assert!(other.run("end", &format!("{}#other", server.url())).status.success());
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_for("no session to be left", || server.holders().is_empty());
    let next = two.run("end", &server.url());
    assert!(next.status.success(), "{}", text(&next.stderr));
}

#[test]
fn by_the_attribute() {
    let server = Server::new();
    let host = Host::new();
    let ended = host.run("attribute", &server.url());
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    assert_eq!(text(&ended.stdout), "held, and lost: false\n");
    assert!(host.log().contains(", cluster lock `by-attribute` (PostgreSQL at 127.0.0.1:"), "{}", host.log());
}

/// The server is not asked: nobody listens there. The password is not printed.
#[test]
fn the_configuration_is_shown_without_the_server() {
    let host = Host::new();
    let show = |url: &str| host.command("attribute", url).env("GUARD_SHOW", "clustered").output().unwrap();
    let output = show("postgres://u:hunter2@127.0.0.1:1/d?sslmode=disable");
    let shown = text(&output.stdout);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""), "{shown}");
    let rows = "cluster_lock        `by-attribute` (PostgreSQL at 127.0.0.1:1)\ncluster_timeout     6s\non_lock_lost        tell\n";
    assert!(shown.contains(rows) && !shown.contains("hunter2"), "{shown}");
    let output = show("postgres://u:hunter2@127.0.0.1:1/d");
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(73), "{shown}");
    assert!(shown.contains("sslmode is missing") && !shown.contains("hunter2"), "{shown}");
}

#[test]
fn given_back_at_the_end() {
    let server = Server::new();
    let host = Host::new();
    let ended = host.run("twice", &server.url());
    assert!(ended.status.success() && text(&ended.stdout) == "held\ntwice\n", "{}", text(&ended.stderr));
    wait_for("no session to be left", || server.holders().is_empty());
    assert!(!server.log().contains("unexpected EOF"), "{}", server.log());
}

/// A run that waits for what another host holds, and the file with what it says on standard error.
fn start_to_wait(host: &Host, server: &Server, console: &str) -> (Child, PathBuf) {
    let said = host.env.path("said");
    let mut command = host.command("end", &server.url());
    command.envs([("WAIT", "60s"), ("CONSOLE", console)]).stderr(fs::File::create(&said).unwrap());
    (command.spawn().unwrap(), said)
}

#[test]
fn a_waiting_run_takes_over() {
    let server = Server::new();
    let (one, two) = (Host::new(), Host::new());
    let mut holder = one.hold(&mut one.command("work", &server.url()));
    let (mut waiting, said) = start_to_wait(&two, &server, "always");
    let said = || fs::read_to_string(&said).unwrap();
    wait_for("its words", || said().ends_with("s for it\n"));
    assert!(said().contains("is held by `guard run pid "), "{}", said());
    // What is left of the minute once the server has answered.
    let left = said().rsplit_once("; waiting up to ").and_then(|(_, left)| left.split('s').next()?.parse().ok());
    assert!(left.is_some_and(|seconds: u64| (50..=60).contains(&seconds)), "{}", said());
    // Who wants the same on that machine learns what it waits for.
    let third = two.command("end", &server.url()).env("STUCK_AFTER", "1ms").output().unwrap();
    assert!(text(&third.stderr).contains("s ago, waiting for the cluster lock `run`"), "{}", text(&third.stderr));
    assert_eq!(third.status.code(), Some(3), "whoever waits is not stuck");
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(settled(&mut waiting).success(), "{}", said());
}

/// Nobody is mailed of a wait that is no failure.
#[test]
fn with_the_console_for_failures_alone_a_wait_is_silent() {
    let server = Server::new();
    let (one, two) = (Host::new(), Host::new());
    let mut holder = one.hold(&mut one.command("work", &server.url()));
    let (mut waiting, said) = start_to_wait(&two, &server, "on_failure");
    wait_for("it to wait", || {
        let third = two.run("end", &server.url());
        text(&third.stderr).contains("s ago, waiting for the cluster lock `run`")
    });
    drop(holder.stdin.take());
    assert!(settled(&mut holder).success() && settled(&mut waiting).success());
    assert_eq!(fs::read_to_string(&said).unwrap(), "");
}

#[test]
fn a_holder_that_is_stuck() {
    let server = Server::new();
    let (one, two) = (Host::new(), Host::new());
    let mut holder = one.hold(&mut one.command("work", &server.url()));
    let stuck = two.command("work", &server.url()).env("STUCK_AFTER", "1ms").output().unwrap();
    assert_eq!(stuck.status.code(), Some(75));
    assert!(text(&stuck.stderr).contains("longer than the 1ms that a run may take"), "{}", text(&stuck.stderr));
    drop(holder.stdin.take());
    assert!(settled(&mut holder).success());
}

/// What the server, or somebody who administers it, can do to a session: the run ends at once, and says why.
#[test]
fn the_session_is_ended() {
    let mut server = Server::new();
    for (what, reason) in [
        ("terminate", "terminating connection due to administrator command (SQLSTATE 57P01)"),
        ("fast", "terminating connection due to administrator command (SQLSTATE 57P01)"),
        ("immediate", "SQLSTATE 57P01"),
        ("backend", "the server closed the connection"),
        // While an answer is awaited.
        ("quit", "terminating connection because of unexpected SIGQUIT signal (SQLSTATE 57P01)"),
    ] {
        wait_for("no session to be left", || server.holders().is_empty());
        let host = Host::new();
        let mut holder = host.hold(&mut host.command("work", &server.url()));
        let backend = server.holders().split(' ').next().unwrap().parse::<u32>().unwrap();
        let mut begun = now();
        match what {
            "terminate" => drop(server.sql(&format!("SELECT pg_terminate_backend({backend})"))),
            "fast" => server.stop(libc::SIGINT),
            "immediate" => server.stop(libc::SIGQUIT),
            "quit" => {
                assert!(kill(backend, libc::SIGSTOP));
                wait_for("a question", || now() - begun > 1.5);
                begun = now();
                assert!(kill(backend, libc::SIGQUIT) && kill(backend, libc::SIGCONT));
            }
            _ => assert!(kill(backend, libc::SIGKILL)),
        }
        let status = settled(&mut holder);
        println!("{what}: ended after {:.3}s", host.times()[1] - begun);
        assert_eq!(status.signal(), Some(libc::SIGTERM), "{what}: {status}");
        wait_for("the closing line", || host.log().contains("guard_runtime: run ended"));
        let log = host.log();
        assert!(log.contains("[ERROR] guard_runtime: the cluster lock `run` is lost: "), "{what}: {log}");
        assert!(log.contains(reason), "{what}: {log}");
        assert!(log.contains("the run is ended (on_lock_lost = \"stop\")"), "{what}: {log}");
        assert!(host.times()[1] - begun < 3.0, "{what}: at once");
        // One whose backend was killed has restarted, or is about to.
        if what != "terminate" {
            server.stop(libc::SIGQUIT);
            server.start();
        }
    }
}

#[test]
fn a_run_that_ignores_sigterm_is_killed() {
    let server = Server::new();
    let host = Host::new();
    let mut holder = host.hold(&mut host.command("stubborn", &server.url()));
    let begun = now();
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'guard %'");
    assert_eq!(settled(&mut holder).signal(), Some(libc::SIGKILL));
    let (ended, last, noticed) = (now(), host.times()[1], host.noticed_at());
    println!("noticed after {:.3} s, last instruction after {:.3} s", noticed - begun, last - begun);
    assert!(ended - begun > 1.9 && last - noticed < 2.5, "a third of six seconds");
}

#[test]
fn a_run_that_wants_to_be_told() {
    let server = Server::new();
    let host = Host::new();
    let mut holder = host.hold(host.command("tell", &server.url()).env("ON_LOCK_LOST", "tell"));
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'guard %'");
    let begun = now();
    assert!(settled(&mut holder).success(), "{}", host.log());
    let log = host.log();
    assert!(host.times()[1] - begun < 1.0, "{} of {begun}: {log}", host.times()[1]);
    assert!(
        log.contains("the run goes on (on_lock_lost = \"tell\")") && log.contains("] lost, and on it goes"),
        "{log}"
    );
    assert!(log.contains("guard_runtime: run finished in "), "{log}");
}

/// A child that kept a copy of the connection would keep the lock.
#[test]
fn no_child_keeps_it() {
    let server = Server::new();
    let mut psql = server.psql();
    let host = Host::new();
    let mut holder = host.hold(&mut host.command("children", &server.url()));
    let children = || fs::read_to_string(host.env.path("children")).unwrap_or_default();
    wait_for("its children", || children().split(' ').count() == 3);
    let begun = now();
    holder.kill().unwrap();
    while psql.ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") != "0" {
        assert!(now() - begun < 20.0, "the lock is kept");
    }
    println!("free after {:.1} ms", (now() - begun) * 1e3);
    assert!(now() - begun < 2.0);
    holder.wait().unwrap();
    let pids: Vec<u32> = children().split(' ').filter_map(|pid| pid.parse().ok()).collect();
    wait_for("the daemon's parent to end", || support::are_gone(&pids[2..]));
    let alive = pids.into_iter().filter(|&pid| !support::are_gone(&[pid]) && kill(pid, libc::SIGKILL)).count();
    assert_eq!(alive, 2, "the daemon's parent has ended, the others live");
}

/// A holder, and its processes: a child that ignores SIGTERM, a forked one, a daemon and its parent.
fn hold_with_family(host: &Host, server: &Server) -> (Child, Vec<u32>) {
    let holder = host.hold(&mut host.command("children", &server.url()));
    let read = |name: &str| fs::read_to_string(host.env.path(name)).unwrap_or_default();
    let mut family = Vec::new();
    wait_for("its children", || {
        let all = format!("{} {}", read("children"), read("daemon"));
        family = all.split(' ').filter_map(|pid| pid.parse().ok()).collect();
        family.len() == 4
    });
    (holder, family)
}

/// The run's processes have as long as the run itself, those that ignore SIGTERM and daemons too.
#[test]
fn a_lost_lock_ends_the_family() {
    let server = Server::new();
    let host = Host::new();
    let (mut holder, family) = hold_with_family(&host, &server);
    let begun = now();
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'guard %'");
    assert_eq!(settled(&mut holder).signal(), Some(libc::SIGTERM), "{}", host.log());
    wait_for("their end", || support::are_gone(&family));
    let lasted = now() - begun;
    println!("all gone after {lasted:.3} s\n{}", host.log());
    assert!((1.9..4.0).contains(&lasted), "two seconds from SIGTERM to SIGKILL: {lasted}");
    wait_for("the words", || host.log().contains("SIGKILL, 2s after SIGTERM"));
    let is_free =
        || Command::new("flock").arg("-n").arg(host.env.path("run.lock")).arg("true").status().unwrap().success();
    wait_for("the local lock", is_free);
}

/// It cannot say that it has lost the lock: the helpers end its processes before the server frees it, those that ignore SIGTERM
/// and daemons too.
#[test]
fn the_family_of_a_stopped_run_is_ended() {
    let server = Server::new();
    let host = Host::new();
    let (mut holder, family) = hold_with_family(&host, &server);
    let begun = now();
    assert!(kill(holder.id(), libc::SIGSTOP));
    assert_eq!(settled(&mut holder).signal(), Some(libc::SIGKILL), "{}", host.log());
    wait_for("their end", || support::are_gone(&family));
    let lasted = now() - begun;
    wait_for("the closing line", || host.log().contains("guard_runtime: run ended"));
    let log = host.log();
    println!("all gone after {lasted:.3} s\n{log}");
    assert!((4.8..8.0).contains(&lasted), "before the server frees the lock: {lasted}");
    let words = [
        "[ERROR] guard_runtime: the cluster lock is lost: ",
        "the run has lost its cluster lock: SIGTERM, and SIGKILL 2s later",
    ];
    assert!(words.iter().all(|words| log.matches(words).count() == 1), "{log}");
}

/// Nobody keeps the time of its lock any more.
#[test]
fn another_program_in_its_place_is_not_ended() {
    let server = Server::new();
    let host = Host::new();
    let mut holder = host.hold(host.command("exec", &server.url()).env("CLUSTER_TIMEOUT", "3s"));
    assert!(settled(&mut holder).success(), "{}", host.log());
    wait_for("the closing line", || host.log().contains("guard_runtime: run ended"));
    assert!(!host.log().contains("is lost"), "{}", host.log());
}

/// Known by the clock: no thread of the run need have noticed.
#[test]
fn lost_at_the_first_look_after_a_stop() {
    let server = Server::new();
    let host = Host::new();
    let mut command = host.command("gap", &server.url());
    let mut holder = host.hold(command.env("ON_LOCK_LOST", "tell").env("CLUSTER_TIMEOUT", "3s"));
    assert!(kill(holder.id(), libc::SIGSTOP));
    let begun = now();
    wait_for("the connection to be silent for too long", || now() - begun > 2.5);
    assert!(kill(holder.id(), libc::SIGCONT));
    assert!(settled(&mut holder).success(), "{}", host.log());
    assert!(host.log().contains("] lost at the first look: true\n"), "{}", host.log());
}

/// Wherever it is in its start, helpers that have a copy of the connection for a moment included.
#[test]
fn killed_while_it_starts() {
    let server = Server::new();
    let mut psql = server.psql();
    let mut most: f64 = 0.0;
    for _ in 0..40 {
        let host = Host::new();
        let mut child = host.command("work", &server.url()).stdout(Stdio::null()).spawn().unwrap();
        let begun = now();
        let part = support::random(30_000) as f64 / 1e6;
        wait_for("a part of its start", || now() - begun > part);
        child.kill().unwrap();
        child.wait().unwrap();
        let begun = now();
        while psql.ask("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") != "0" {
            assert!(now() - begun < 20.0, "the lock is kept");
        }
        most = most.max(now() - begun);
    }
    println!("free after {:.1} ms at most", most * 1e3);
    assert!(most < 2.0);
}

/// Its connection is gone then, and its number is that of one of the program's files: not a byte goes there.
#[test]
fn a_program_that_closes_what_it_does_not_know() {
    let server = Server::new();
    let host = Host::new();
    let mut holder = host.command("closefrom", &server.url()).spawn().unwrap();
    let status = settled(&mut holder);
    assert!(matches!(status.signal(), Some(libc::SIGTERM | libc::SIGKILL)), "{status}");
    for number in 0..200 {
        let there = text(&fs::read(host.env.path(&format!("file{number}"))).unwrap_or_default());
        assert!(!there.contains("pg_backend_pid"), "file{number}: {there}");
    }
}

#[test]
fn no_thread_without_the_argument() {
    let server = Server::new();
    let host = Host::new();
    let with = host.run("threads", &server.url());
    assert_eq!(text(&with.stdout), "held\nthreads 2\n", "{}", text(&with.stderr));
    let without = host.command("threads", "").env_remove("CLUSTER_URL").output().unwrap();
    assert_eq!(text(&without.stdout), "held\nthreads 1\n", "{}", text(&without.stderr));
}

/// What cannot be used says so and exits with 73; the password stands nowhere.
#[test]
fn set_up_errors() {
    let server = Server::new();
    let port = server.port;
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let cases = [
        (format!("postgres://job:{ENCODED}x@127.0.0.1:{port}/jobs?sslmode=disable"), "password authentication failed"),
        (format!("postgres://job:{ENCODED}@127.0.0.1:{port}/none?sslmode=disable"), "name a database that is there"),
        (format!("postgres://job:{ENCODED}@127.0.0.1:{closed}/jobs?sslmode=disable"), "Connection refused"),
        (format!("postgres://job:{ENCODED}@127.0.0.1:{port}/jobs?sslmode=require"), "the server takes no TLS"),
        (format!("postgres://job:{ENCODED}@127.0.0.1:{port}/jobs"), "sslmode is missing"),
        (
            format!("postgres://job:{ENCODED}@127.0.0.1:{port}/jobs?ssl=on&sslmode=disable"),
            "parameter 1 behind `?` is not known",
        ),
        (format!("postgres://job:{ENCODED}@127.0.0.1,127.0.0.2:{port}/jobs?sslmode=disable"), "more than one host"),
        (format!("postgres://job:{PASSWORD}@127.0.0.1:{port}/jobs?sslmode=disable"), "%23"),
        (format!("postgres://job@127.0.0.1:{port}/jobs?sslmode=disable"), "the server wants a password"),
        (format!("postgres://job:{ENCODED}@/jobs?host=/nowhere"), "the server's socket is elsewhere"),
        ("hunter2".to_owned(), "it is not a PostgreSQL URL"),
        ("${SURELY_NOT_SET}".to_owned(), "the variable SURELY_NOT_SET is not set"),
    ];
    for (url, words) in cases {
        let host = Host::new();
        let output = host.run("work", &url);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(73), "{url}: {said}");
        assert!(said.contains(words) && said.lines().count() == 1, "{url}: {said}");
        println!("{said}");
        assert!(!said.contains("hunter2") && !host.log().contains("hunter2"), "{said}{}", host.log());
        assert!(!fs::read_to_string(host.env.path("run.lock")).unwrap_or_default().contains("hunter2"));
    }
    assert!(!server.log().contains("hunter2"));
}

/// The ways to a server that work, and the places that could show the password.
#[test]
fn ways_in() {
    let server = Server::with(None, "listen_addresses = '127.0.0.1'", "host all all 127.0.0.1/32 scram-sha-256");
    let port = server.port;
    let bare = format!("postgres://job@127.0.0.1:{port}/jobs?sslmode=disable");
    let host = Host::new();
    let mut holder = host.hold(&mut host.command("work", &server.url()));
    let line = text(&fs::read(format!("/proc/{}/cmdline", holder.id())).unwrap());
    assert!(!line.contains("hunter2"), "{line}");
    for place in [host.log(), fs::read_to_string(host.env.path("run.lock")).unwrap(), server.holders(), server.log()] {
        assert!(!place.contains("hunter2"), "{place}");
    }
    holder.kill().unwrap();
    holder.wait().unwrap();
    wait_for("no session to be left", || server.holders().is_empty());

    let by_socket = host.run("end", &server.socket_url());
    assert!(by_socket.status.success(), "{}", text(&by_socket.stderr));
    let by_variable = host.command("end", &bare).env("PGPASSWORD", PASSWORD).output().unwrap();
    assert!(by_variable.status.success(), "{}", text(&by_variable.stderr));
    let file = host.env.path(".pgpass");
    fs::write(&file, format!("127.0.0.1:{port}:jobs:job:hunter2@\\:/?#%\n")).unwrap();
    let open = host.run("end", &bare);
    assert!(
        text(&open.stderr).contains("can be read by others") && open.status.code() == Some(73),
        "{}",
        text(&open.stderr)
    );
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let by_file = host.run("end", &bare);
    assert!(by_file.status.success(), "{}", text(&by_file.stderr));

    for method in ["md5", "password"] {
        server.configure(
            "listen_addresses = '127.0.0.1'\npassword_encryption = md5",
            &format!("host all all 127.0.0.1/32 {method}"),
        );
        server.sql("SELECT pg_reload_conf()");
        wait_for("the new setting", || server.sql("SHOW password_encryption") == "md5");
        server.sql(&format!("ALTER ROLE job PASSWORD '{PASSWORD}'"));
        wait_for(method, || host.run("end", &server.url()).status.success());
        let wrong = host.run("end", &server.url().replace("hunter2", "hunter3"));
        assert_eq!(wrong.status.code(), Some(73), "{method}");
    }
}

/// A pooler gives the session that would hold the lock to others; a standby's locks lock nobody out.
#[test]
fn what_is_no_server_for_a_lock() {
    let server = Server::new();
    let standby = server.standby();
    let host = Host::new();
    let refused = host.run("end", &standby.url());
    let said = text(&refused.stderr);
    assert!(refused.status.code() == Some(73) && said.contains("it is a standby"), "{said}");
    println!("standby: {said}");

    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let file = |name: &str| directory.path().join(name);
    fs::write(file("users"), format!("\"job\" \"{PASSWORD}\"\n")).unwrap();
    let port = server.port + 5;
    for mode in ["session", "transaction", "statement"] {
        let settings = format!(
            "[databases]\njobs = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             auth_type = scram-sha-256\nauth_file = {}\npool_mode = {mode}\nunix_socket_dir =\n",
            server.port,
            file("users").display()
        );
        fs::write(file("ini"), settings).unwrap();
        let mut command = Command::new("/usr/sbin/pgbouncer");
        command.args(["-q"]).arg(file("ini")).stdout(Stdio::null()).stderr(Stdio::null());
        let mut pooler = as_server(&mut command).spawn().expect("Debian's pgbouncer");
        wait_for("the pooler", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        let through = server.url().replace(&format!(":{}/", server.port), &format!(":{port}/"));
        let refused = host.run("end", &through);
        pooler.kill().unwrap();
        pooler.wait().unwrap();
        let said = text(&refused.stderr);
        assert!(
            refused.status.code() == Some(73) && said.contains("a connection pooler answers there"),
            "{mode}: {said}"
        );
        println!("{mode}: {said}");
    }
    // Nothing was set in the sessions that it keeps, and those of one that was killed end.
    wait_for("no session to be left", || server.holders().is_empty());
}

#[test]
fn encrypted() {
    let server = Server::new();
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| directory.path().join(name);
    make_certificates(directory.path());
    for (from, to) in [("server.crt", "server.crt"), ("server.key", "server.key")] {
        server.adopt(&file(from), to);
    }
    server.configure("listen_addresses = '127.0.0.1'\nssl = on", "hostssl all all all scram-sha-256");
    server.sql("SELECT pg_reload_conf()");
    let url = |host: &str, rest: &str| format!("postgres://job:{ENCODED}@{host}:{}/jobs?sslmode={rest}", server.port);
    let with = |mode: &str, root: &str| format!("{mode}&sslrootcert={}", file(root).display());
    let host = Host::new();
    wait_for("TLS", || host.run("end", &url("127.0.0.1", "require")).status.success());
    for (place, rest, words) in [
        ("localhost", with("verify-full", "ca.crt"), None),
        ("127.0.0.1", with("verify-full", "ca.crt"), Some("connect to a name that the certificate has")),
        ("127.0.0.1", with("verify-ca", "ca.crt"), None),
        ("localhost", with("verify-full", "other.crt"), Some("name the certificate that signed the server's")),
        // As libpq: with a root certificate `require` looks at it.
        ("localhost", with("require", "other.crt"), Some("name the certificate that signed the server's")),
        ("localhost", with("verify-full", "none.crt"), Some("cannot read certificates from ")),
        ("localhost", with("verify-full", "server.key"), Some("holds no certificate in PEM form")),
        ("localhost", "verify-full".into(), Some("needs a root certificate")),
        ("localhost", with("verify-full", "server.crt"), None),
        ("127.0.0.1", "disable".into(), Some("no pg_hba.conf entry")),
    ] {
        let output = host.run("end", &url(place, &rest));
        let said = text(&output.stderr);
        match words {
            None => assert!(output.status.success(), "{place} {rest}: {said}"),
            Some(words) => assert!(output.status.code() == Some(73) && said.contains(words), "{place} {rest}: {said}"),
        }
        print!("{place} {}: {}", rest.split('&').next().unwrap(), if words.is_none() { "well\n" } else { &said });
        assert!(!said.contains("hunter2"));
    }

    // A certificate that signs itself, as `openssl req -x509` makes it, and some heartbeats over TLS.
    server.adopt(&file("self.crt"), "server.crt");
    server.adopt(&file("self.key"), "server.key");
    server.sql("SELECT pg_reload_conf()");
    let itself = url("localhost", &with("verify-full", "self.crt"));
    wait_for("the other certificate", || host.run("end", &itself).status.success());
    let mut holder = host.hold(&mut host.command("work", &itself));
    let begun = now();
    wait_for("six heartbeats", || now() - begun > 7.3);
    assert_eq!(holder.try_wait().unwrap(), None, "{}", host.log());
    server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'guard %'");
    settled(&mut holder);
    wait_for("its words", || host.log().contains("terminating connection due to administrator command"));
}

fn make_certificates(directory: &Path) {
    let script = "set -e
        new() { openssl req -new -newkey rsa:2048 -nodes -subj \"/CN=$1\" -keyout $1.key \"${@:2}\"; }
        new ca -x509 -days 2 -out ca.crt
        new other -x509 -days 2 -out other.crt
        new self -x509 -days 2 -out self.crt -addext subjectAltName=DNS:localhost
        new server -out server.csr
        echo subjectAltName=DNS:localhost >ext
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.crt";
    let output = Command::new("bash").args(["-c", script]).current_dir(directory).output().unwrap();
    assert!(output.status.success(), "openssl: {}", text(&output.stderr));
}

/// What the second lock adds to a run. Figures, not limits: they are the machine's.
#[test]
#[ignore = "prints how long things take"]
fn start_and_end() {
    let server = Server::new();
    for (what, url) in [("none", None), ("loopback", Some(server.url())), ("socket", Some(server.socket_url()))] {
        let host = Host::new();
        let (mut starts, mut wholes) = (Vec::new(), Vec::new());
        for _ in 0..200 {
            let mut command = host.command("end", url.as_deref().unwrap_or_default());
            if url.is_none() {
                command.env_remove("CLUSTER_URL");
            }
            let begun = now();
            assert!(command.stdout(Stdio::null()).status().unwrap().success());
            wholes.push((now() - begun) * 1e3);
            starts.push(host.times()[2] * 1e3);
        }
        starts.sort_by(f64::total_cmp);
        wholes.sort_by(f64::total_cmp);
        println!("{what}: start {:.2} ms, the whole process {:.2} ms (medians of 200)", starts[100], wholes[100]);
    }
}

/// Answers the first connection with these bytes, then closes it; a silent one keeps it open.
fn false_server(answer: &'static [u8], is_silent: bool) -> u16 {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = [0; 1024];
        let _ = stream.read(&mut asked);
        let _ = stream.write_all(answer);
        // Until the other side ends it.
        while is_silent && stream.read(&mut asked).is_ok_and(|length| length > 0) {}
    });
    port
}

#[test]
fn what_is_no_server() {
    let begun = now();
    for (answer, is_silent, words) in [
        (&b""[..], true, "the server does not answer"),
        (b"", false, "the server closed the connection"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", false, "what answers there is no PostgreSQL server"),
        (b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", true, "does not say which process serves the session"),
        (
            b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-256\0\0R\0\0\0\x08\0\0\0\0",
            true,
            "did not prove that it knows the password",
        ),
        (b"R\0\0\0\x17\0\0\0\x0aSCRAM-SHA-512\0\0", true, "SCRAM-SHA-256 is known here"),
        (b"R\0\0\0\x08\0\0\0\x07", true, "a login that is not known here (number 7"),
        (b"E\0\0\0\x1dSFATAL\0C53300\0Mtoo many\0\0", true, "takes no more connections"),
    ] {
        let port = false_server(answer, is_silent);
        let host = Host::new();
        let url = format!("postgres://job:{ENCODED}@127.0.0.1:{port}/jobs?sslmode=disable&connect_timeout=2");
        let output = host.run("work", &url);
        let said = text(&output.stderr);
        assert!(output.status.code() == Some(73) && said.contains(words), "{words}: {said}");
        assert!(!said.contains("hunter2"));
    }
    assert!(now() - begun < 20.0, "the silent one costs its two seconds");
}

/// Whoever stands between adds what counts as encrypted: not a byte behind the answer is read before TLS.
#[test]
fn nothing_comes_before_tls() {
    let port = false_server(b"SR\0\0\0\x08\0\0\0\0", true);
    let host = Host::new();
    let output = host.run("work", &format!("postgres://job@127.0.0.1:{port}/jobs?sslmode=require&connect_timeout=2"));
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(73) && said.contains("TLS was refused"), "{said}");
}
