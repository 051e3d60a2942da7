//! Hosts that share nothing but a server.

use std::fs;
use std::process::{Child, Command, Output, Stdio};

use super::postgres::now;
use super::{TestEnv, wait_for};

/// A machine of its own: another lock file, another log.
pub struct Host {
    pub env: TestEnv,
}

impl Host {
    pub fn new() -> Self {
        Self { env: TestEnv::new() }
    }

    pub fn command(&self, mode: &str, url: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clustered"));
        command.arg(mode).stdin(Stdio::null());
        command.env("SUBJECT_DIR", self.env.path("")).env("CLUSTER_URL", url).env("CLUSTER_TIMEOUT", "6s");
        for name in ["RUST_LOG", "PGPASSWORD", "PGHOST", "PGUSER", "PGDATABASE", "PGSSLMODE"] {
            command.env_remove(name);
        }
        // No ~/.pgpass, no root certificate of whoever runs the test.
        command.env("HOME", self.env.path(""));
        command
    }

    pub fn run(&self, mode: &str, url: &str) -> Output {
        self.command(mode, url).output().expect("the program starts")
    }

    pub fn log(&self) -> String {
        self.env.log_text()
    }

    /// Starts the command and waits until it works under the lock.
    pub fn hold(&self, command: &mut Command) -> Child {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the program starts");
        wait_for("the holder to hold", || self.log().contains("] held\n"));
        child
    }

    /// When its function began, what it did last (seconds since the boot), and how long its start took.
    pub fn times(&self) -> [f64; 3] {
        let bytes = fs::read(self.env.path("times")).unwrap();
        let time = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap()) as f64 / 1e9;
        [time(0), time(8), time(16)]
    }

    /// When the log says that the lock is lost: the seconds of a day, as seconds since the boot.
    pub fn noticed_at(&self) -> f64 {
        wait_for("the reason", || self.log().contains("is lost: "));
        let log = self.log();
        let line = log.lines().find(|line| line.contains("is lost: ")).unwrap();
        let part = |from: usize, to: usize| line[from..to].parse::<f64>().unwrap();
        let stamp = part(11, 13) * 3600.0 + part(14, 16) * 60.0 + part(17, 26);
        let date = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        now() - (date - stamp).rem_euclid(86400.0)
    }
}
