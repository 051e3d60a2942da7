//! A PostgreSQL server of a test's own, in a temporary directory; hosts in network namespaces of their own.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{DEADLINE, is_root, kill, text, wait_for};

/// The password of the role `job`, with everything that a URL needs encoded.
pub const PASSWORD: &str = "hunter2@:/?#%";
pub const ENCODED: &str = "hunter2%40%3A%2F%3F%23%25";

/// Debian's place; elsewhere what PATH has.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut places: Vec<PathBuf> = versions.map(|version| version.path().join("bin").join(name)).collect();
    places.sort();
    places.pop().filter(|path| path.exists()).unwrap_or_else(|| name.into())
}

/// The server refuses to run as root.
fn user() -> Option<(u32, u32)> {
    if !is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let number = |name: &str, at: usize| {
        let line = users.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        line.split(':').nth(at)?.parse().ok()
    };
    let name = if number("postgres", 2).is_some() { "postgres" } else { "nobody" };
    Some((number(name, 2).unwrap(), number(name, 3).unwrap()))
}

pub fn as_server(command: &mut Command) -> &mut Command {
    if let Some((user, group)) = user() {
        command.uid(user).gid(group);
    }
    command.current_dir("/")
}

/// Ports that no two servers of this process choose: eight for each, from one that was free.
static NEXT: AtomicU32 = AtomicU32::new(0);
static FIRST_PORT: LazyLock<u16> =
    LazyLock::new(|| std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port() / 2);

pub struct Server {
    directory: tempfile::TempDir,
    namespace: Option<String>,
    child: Option<Child>,
    pub port: u16,
}

impl Server {
    /// On the loopback and a Unix socket.
    pub fn new() -> Self {
        Self::with(None, "listen_addresses = '127.0.0.1'", "host all all all scram-sha-256")
    }

    /// With lines for `postgresql.conf` and `pg_hba.conf`. The administrator comes by the Unix socket.
    pub fn with(namespace: Option<&str>, settings: &str, access: &str) -> Self {
        let directory = tempfile::Builder::new().prefix("guard-postgres").tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if let Some((user, group)) = user() {
            chown(directory.path(), Some(user), Some(group)).unwrap();
        }
        let port = *FIRST_PORT + NEXT.fetch_add(1, Ordering::Relaxed) as u16 * 8;
        let mut server = Self { directory, namespace: namespace.map(str::to_owned), child: None, port };
        let mut command = Command::new(program("initdb"));
        command.args(["--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-D"]);
        let output = as_server(command.arg(server.data())).output().expect("Debian's postgresql");
        assert!(output.status.success(), "initdb: {}", text(&output.stderr));
        server.configure(settings, access);
        server.start();
        server.sql(&format!("CREATE ROLE job LOGIN PASSWORD '{PASSWORD}'; CREATE DATABASE jobs OWNER job"));
        server
    }

    pub fn configure(&self, settings: &str, access: &str) {
        let own = format!(
            "port = {}\nunix_socket_directories = '{}'\nfsync = off\nmax_connections = 40\n{settings}\n",
            self.port,
            self.sockets().display()
        );
        fs::write(self.data().join("postgresql.auto.conf"), own).unwrap();
        fs::write(self.data().join("pg_hba.conf"), format!("local all,replication all trust\n{access}\n")).unwrap();
    }

    /// Makes a file the server's own.
    pub fn adopt(&self, file: &Path, name: &str) {
        let there = self.data().join(name);
        fs::copy(file, &there).unwrap();
        fs::set_permissions(&there, fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((user, group)) = user() {
            chown(&there, Some(user), Some(group)).unwrap();
        }
    }

    /// A standby of it.
    pub fn standby(&self) -> Self {
        let directory = tempfile::Builder::new().prefix("guard-standby").tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        if let Some((user, group)) = user() {
            chown(directory.path(), Some(user), Some(group)).unwrap();
        }
        let mut server = Self { directory, namespace: None, child: None, port: self.port + 3 };
        let mut command = Command::new(program("pg_basebackup"));
        command.args(["--no-sync", "-R", "-c", "fast", "-U", "postgres", "-p", &self.port.to_string(), "-h"]);
        let output = as_server(command.arg(self.sockets()).arg("-D").arg(server.data())).output().unwrap();
        assert!(output.status.success(), "pg_basebackup: {}", text(&output.stderr));
        let recovery = fs::read_to_string(server.data().join("postgresql.auto.conf")).unwrap();
        let primary = recovery.lines().find(|line| line.starts_with("primary_conninfo")).unwrap().to_owned();
        server.configure(&format!("{primary}\nlisten_addresses = '127.0.0.1'"), "host all all all scram-sha-256");
        server.start();
        server
    }

    pub fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub fn sockets(&self) -> PathBuf {
        self.directory.path().to_path_buf()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    pub fn start(&mut self) {
        let log = fs::File::options().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let mut command = Command::new(program("postgres"));
        command.arg("-D").arg(self.data()).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        as_server(&mut command);
        if let Some(namespace) = &self.namespace {
            let program = command.get_program().to_owned();
            let (user, group) = user().unwrap();
            let mut inside = Command::new("ip");
            inside.args(["netns", "exec", namespace, "setpriv", "--clear-groups"]);
            inside.args([format!("--reuid={user}"), format!("--regid={group}")]).arg(program).args(command.get_args());
            let log = fs::File::options().append(true).open(self.directory.path().join("log")).unwrap();
            inside.current_dir("/").stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
            command = inside;
        }
        self.child = Some(command.spawn().expect("the server starts"));
        wait_for(&format!("the server: {}", self.log()), || {
            let mut command = Command::new(program("pg_isready"));
            command
                .args(["-q", "-U", "postgres", "-d", "postgres", "-p", &self.port.to_string(), "-h"])
                .arg(self.sockets());
            command.status().is_ok_and(|status| status.success())
        });
    }

    /// SIGINT: fast, SIGQUIT: immediate.
    pub fn stop(&mut self, signal: i32) {
        if let Some(mut child) = self.child.take() {
            kill(child.id(), signal);
            child.wait().unwrap();
        }
    }

    /// An administrator's session.
    pub fn psql(&self) -> Psql {
        Psql::start(&self.sockets(), self.port, "jobs")
    }

    pub fn sql(&self, sql: &str) -> String {
        let mut command = Command::new(program("psql"));
        command.args([
            "-AtqX",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-d",
            "postgres",
            "-p",
            &self.port.to_string(),
            "-h",
        ]);
        command.arg(self.sockets()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(format!("{}\n", sql.replace("; ", ";\n")).as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{sql}: {}", text(&output.stderr));
        text(&output.stdout).trim().to_owned()
    }

    /// Of the role `job`, over the loopback.
    pub fn url(&self) -> String {
        format!("postgres://job:{ENCODED}@127.0.0.1:{}/jobs?sslmode=disable", self.port)
    }

    /// Over the Unix socket, without a password.
    pub fn socket_url(&self) -> String {
        format!("postgres://job@/jobs?host={}&port={}", self.sockets().display(), self.port)
    }

    /// The sessions of guarded runs: their pids and names.
    pub fn holders(&self) -> String {
        self.sql("SELECT pid || ' ' || application_name FROM pg_stat_activity WHERE application_name LIKE 'guard %'")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop(libc::SIGQUIT);
    }
}

/// A session that is asked again and again, in a fraction of a millisecond.
pub struct Psql {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Psql {
    fn start(sockets: &Path, port: u16, database: &str) -> Self {
        let mut command = Command::new(program("psql"));
        command.args(["-AtqX", "-U", "postgres", "-d", database, "-p", &port.to_string(), "-h"]).arg(sockets);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, to, from }
    }

    /// The answer's one line.
    pub fn ask(&mut self, sql: &str) -> String {
        writeln!(self.to, "{sql};\n\\echo end").unwrap();
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.from.read_line(&mut line).unwrap(), 0, "psql has ended at {sql}");
            match line.trim_end() {
                "end" => return lines.join("\n"),
                line => lines.push(line.to_owned()),
            }
        }
    }
}

impl Drop for Psql {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server and two hosts, each a network namespace, each host with a link of its own to the server.
pub struct Network {
    name: String,
}

impl Network {
    pub fn new() -> Self {
        let name = format!("guard{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let network = Self { name };
        let server = network.server();
        ip(&["netns", "add", &server]);
        ip(&["-n", &server, "link", "set", "lo", "up"]);
        for host in 0..2 {
            let (space, far, near) = (network.host(host), format!("s{host}"), "eth".to_owned());
            ip(&["netns", "add", &space]);
            ip(&["-n", &space, "link", "set", "lo", "up"]);
            ip(&["-n", &server, "link", "add", &far, "type", "veth", "peer", "name", &near, "netns", &space]);
            for (space, device, address) in [(&server, &far, 1), (&space, &near, 2)] {
                ip(&["-n", space, "address", "add", &format!("10.7.{host}.{address}/24"), "dev", device]);
                ip(&["-n", space, "link", "set", device, "up"]);
            }
        }
        network
    }

    pub fn server(&self) -> String {
        format!("{}s", self.name)
    }

    pub fn host(&self, number: usize) -> String {
        format!("{}h{number}", self.name)
    }

    /// As that host sees the server.
    pub fn url(server: &Server, host: usize) -> String {
        format!("postgres://job:{ENCODED}@10.7.{host}.1:{}/jobs?sslmode=disable", server.port)
    }

    /// The command on that host.
    pub fn on(&self, host: usize, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.host(host)]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => inside.env(name, value),
                None => inside.env_remove(name),
            };
        }
        inside
    }

    /// Cuts the link of a host.
    pub fn cut(&self, host: usize, cut: Cut) {
        let device = format!("s{host}");
        match cut {
            Cut::Down => ip(&["-n", &self.server(), "link", "set", &device, "down"]),
            Cut::ToServer => self.drop_packets(host, "OUTPUT"),
            Cut::FromServer => self.drop_packets(host, "INPUT"),
            Cut::Both => {
                self.drop_packets(host, "OUTPUT");
                self.drop_packets(host, "INPUT");
            }
        }
    }

    pub fn mend(&self, host: usize) {
        ip(&["-n", &self.server(), "link", "set", &format!("s{host}"), "up"]);
        run(Command::new("ip").args(["netns", "exec", &self.host(host), "iptables", "-F"]));
    }

    fn drop_packets(&self, host: usize, chain: &str) {
        let rule = ["netns", "exec", &self.host(host), "iptables", "-A", chain, "-j", "DROP"].map(str::to_owned);
        run(Command::new("ip").args(rule));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for space in [self.server(), self.host(0), self.host(1)] {
            let _ = Command::new("ip").args(["netns", "del", &space]).status();
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub enum Cut {
    Down,
    ToServer,
    FromServer,
    Both,
}

fn ip(arguments: &[&str]) {
    run(Command::new("ip").args(arguments));
}

fn run(command: &mut Command) {
    let output = command.output().expect("Debian's iproute2 and iptables");
    assert!(output.status.success(), "{command:?}: {}", text(&output.stderr));
}

/// Seconds since the boot, as the program under test notes them.
pub fn now() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: written by the call.
    #[allow(unsafe_code)]
    unsafe {
        libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time)
    };
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Waits as `wait_for`, for what needs no more than a look at a file.
pub fn settled(child: &mut Child) -> std::process::ExitStatus {
    let mut status = None;
    wait_for("the run to end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let _ = DEADLINE;
    status.unwrap()
}
