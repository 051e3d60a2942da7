//! Compares the guard with its peers, side by side and interleaved, in one run: medians, and ratios of medians.
//!
//! `cargo run --release -p bench [ROUNDS]`. Peers that are not on PATH are left out (Debian: s6, coreutils).
//! With a first argument that names a job, this program is that job: the same `println!`s under every peer.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use guard_runtime::locked_pipeline;

const LOCK: &str = "${BENCH_DIR}/run.lock";
const LOG: &str = "${BENCH_DIR}/run.log";
const LINES: u64 = 1_000_000;
const RECORDS: u64 = 300_000;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("lines") => print_lines(),
        Some("lines-guarded") => guarded_lines(),
        Some("records-guarded") => guarded_records(),
        Some("records-fern") => fern_records(),
        Some("nothing") => {}
        Some("nothing-guarded") => guarded_nothing(),
        rounds => compare(rounds.and_then(|rounds| rounds.parse().ok()).unwrap_or(9)),
    }
}

fn print_lines() {
    for number in 0..LINES {
        println!("{number:08} a line of ninety bytes, newline included, as cheap to format as a line can be ..");
    }
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn guarded_lines() {
    print_lines();
}

fn log_records() {
    for number in 0..RECORDS {
        log::info!("record {number} of a run that logs a good deal, to see what one costs");
    }
}

#[locked_pipeline(lock = LOCK, log = LOG, console_level = "off")]
fn guarded_records() {
    log_records();
}

fn fern_records() {
    let path = Path::new(&std::env::var_os("BENCH_DIR").expect("BENCH_DIR")).join("fern.log");
    let format = |out: fern::FormatCallback<'_>, message: &std::fmt::Arguments<'_>, record: &log::Record<'_>| {
        // The same line as the guard's.
        let stamp = humantime::format_rfc3339_micros(std::time::SystemTime::now());
        out.finish(format_args!("{stamp} [{:<5}] {}: {message}", record.level(), record.target()));
    };
    fern::Dispatch::new()
        .format(format)
        .chain(fern::log_file(path).expect("fern's log"))
        .apply()
        .expect("the first logger");
    log_records();
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn guarded_nothing() {}

/// One way to run a job: a shell command in which `$0` is this program.
struct Peer {
    name: &'static str,
    command: &'static str,
    needs: &'static str,
}

/// A job under several peers; the first is the one that the others are compared with.
struct Table {
    title: &'static str,
    repeats: u64,
    per: (u64, &'static str),
    peers: &'static [Peer],
}

const fn peer(name: &'static str, command: &'static str, needs: &'static str) -> Peer {
    Peer { name, command, needs }
}

const TABLES: [Table; 3] = [
    Table {
        title: "println! of 90 bytes, console on /dev/null, ns a line",
        repeats: LINES,
        per: (1, "ns"),
        peers: &[
            peer("guard", "\"$0\" lines-guarded >/dev/null", ""),
            peer("bare, to /dev/null", "\"$0\" lines >/dev/null", ""),
            peer("bare, to a file", "\"$0\" lines >file", ""),
            peer("a reader that discards", "\"$0\" lines | \"$1\" 1048576 >/dev/null", ""),
            peer("tee -a", "\"$0\" lines | tee -a file >/dev/null", "tee"),
            peer("s6-log T", "\"$0\" lines | s6-log T s5000000 n6 ./s6 >/dev/null", "s6-log"),
        ],
    },
    Table {
        title: "log::info!, file only, ns a record",
        repeats: RECORDS,
        per: (1, "ns"),
        peers: &[peer("guard", "\"$0\" records-guarded", ""), peer("fern", "\"$0\" records-fern", "")],
    },
    Table {
        title: "start and exit, us",
        repeats: 1,
        per: (1000, "us"),
        peers: &[
            peer("guard", "nothing-guarded", ""),
            peer("bare", "nothing", ""),
            peer("flock -n in front", "flock", "flock"),
        ],
    },
];

fn compare(rounds: usize) {
    for table in &TABLES {
        let peers: Vec<&Peer> = table.peers.iter().filter(|peer| is_on_path(peer.needs)).collect();
        let mut times = vec![Vec::new(); peers.len()];
        for _ in 0..rounds * if table.repeats == 1 { 20 } else { 1 } {
            for (peer, times) in peers.iter().zip(&mut times) {
                times.push(time(peer, table.repeats == 1).as_nanos() as u64 / table.repeats / table.per.0);
            }
        }
        println!("{}", table.title);
        let ours = median(&mut times[0].clone());
        for (peer, times) in peers.iter().zip(&mut times) {
            let middle = median(times);
            let (least, most) = (times[0], times[times.len() - 1]);
            let ratio = ours as f64 / middle as f64;
            println!("  {:<24} {middle:>7} {} ({least}..{most})   guard: {ratio:.2}x", peer.name, table.per.1);
        }
    }
}

/// In a fresh directory. Short jobs are started without a shell, which would cost more than they do.
fn time(peer: &Peer, direct: bool) -> Duration {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("s6")).expect("a directory");
    let program = std::env::current_exe().expect("this program");
    let mut command = if !direct {
        let mut command = Command::new("sh");
        command.args(["-c", peer.command]).arg(&program).arg(discarder(&program));
        command
    } else if peer.command == "flock" {
        let mut command = Command::new("flock");
        command.args(["-n", "lock"]).arg(&program).arg("nothing");
        command
    } else {
        let mut command = Command::new(&program);
        command.arg(peer.command);
        command
    };
    command.current_dir(directory.path()).env("BENCH_DIR", directory.path()).stdin(Stdio::null());
    command.stdout(File::create("/dev/null").expect("/dev/null"));
    let start = Instant::now();
    let status = command.status().expect("it starts");
    let elapsed = start.elapsed();
    assert!(status.success(), "{} failed: {status}", peer.name);
    elapsed
}

/// The cheapest reader there is.
fn discarder(program: &Path) -> std::path::PathBuf {
    program.with_file_name("discard")
}

fn is_on_path(program: &str) -> bool {
    program.is_empty()
        || std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(program).exists()))
}

fn median(times: &mut [u64]) -> u64 {
    times.sort_unstable();
    times[times.len() / 2]
}
