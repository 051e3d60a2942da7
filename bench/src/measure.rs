//! Runs things and measures them: time, processor time, memory, latency, what survives a kill.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::job::monotonic;
use crate::peers::{Peer, Table};

/// What a command cost, of all its processes together.
#[derive(Clone, Copy)]
pub(crate) struct Cost {
    pub(crate) time: Duration,
    pub(crate) processor: Duration,
}

/// Whole-run figures of one peer.
#[derive(Clone, Default)]
pub(crate) struct Samples(Vec<u64>);

impl Samples {
    pub(crate) fn push(&mut self, sample: u64) {
        self.0.push(sample);
        self.0.sort_unstable();
    }

    pub(crate) fn median(&self) -> u64 {
        self.at(50)
    }

    /// The least that so many of a hundred do not pass.
    pub(crate) fn at(&self, percent: usize) -> u64 {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }

    pub(crate) fn range(&self) -> (u64, u64) {
        (self.0[0], self.at(100))
    }
}

/// The processor, how many of it there are, and the kernel: a ratio holds on one machine, and may not on the next.
pub(crate) fn machine() -> String {
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let count = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim();
    format!("{count} x {}, Linux {kernel}", model.map_or("a processor", |(_, name)| name))
}

/// A fresh directory with what peers want to find in theirs.
pub(crate) fn place() -> TempDir {
    let place = tempfile::tempdir().expect("a directory");
    for name in ["s6", "multi", "sv"] {
        std::fs::create_dir(place.path().join(name)).expect("a directory");
    }
    std::fs::write(place.path().join("sv/config"), "s5000000\nn6\n").expect("svlogd's configuration");
    place
}

pub(crate) fn this_program() -> PathBuf {
    std::env::current_exe().expect("this program")
}

/// A command in that directory, its output on /dev/null.
pub(crate) fn command(place: &Path, words: &[&str]) -> Command {
    command_of(&this_program(), place, words)
}

/// The same with another build of this program as `$BENCH`.
pub(crate) fn command_of(program: &Path, place: &Path, words: &[&str]) -> Command {
    let word = |word: &str| if word == "$BENCH" { program.to_owned() } else { PathBuf::from(word) };
    let mut command = Command::new(word(words[0]));
    command.args(words[1..].iter().map(|text| word(text))).current_dir(place).stdin(Stdio::null());
    command.env("BENCH", program).env("DISCARD", this_program().with_file_name("discard")).env("BENCH_DIR", place);
    command.env("ORIGINAL", Path::new(env!("CARGO_MANIFEST_DIR")).join("original.py"));
    command.stdout(File::create("/dev/null").expect("/dev/null"));
    command
}

/// The helpers of a run count with it: it has reaped them when it ends.
pub(crate) fn cost(command: &mut Command) -> Cost {
    let start = Instant::now();
    // Waited for below.
    #[allow(clippy::zombie_processes)]
    let child = command.spawn().expect("it starts");
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: waits for the child that was just started; both places are written.
    #[allow(unsafe_code)]
    let usage = unsafe {
        libc::wait4(child.id() as i32, &raw mut status, 0, usage.as_mut_ptr());
        usage.assume_init()
    };
    let time = start.elapsed();
    assert_eq!(status, 0, "{command:?}");
    let seconds = |time: libc::timeval| Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000);
    Cost { time, processor: seconds(usage.ru_utime) + seconds(usage.ru_stime) }
}

/// What a table's jobs read: few have anything.
pub(crate) fn inputs(table: &Table) -> TempDir {
    let place = place();
    if let Some((_, lines)) = table.environment.iter().find(|(name, _)| *name == "INPUT") {
        let mut file = BufWriter::new(File::create(place.path().join("input")).expect("the input"));
        for number in 0..lines.parse::<u64>().expect("a number") {
            writeln!(file, "{number:08} {}", "x".repeat(80)).expect("the input");
        }
    }
    place
}

/// What one of a table's peers costs, with that build of this program: time and processor time, nanoseconds each.
pub(crate) fn cost_each(program: &Path, table: &Table, peer: &Peer, inputs: &TempDir) -> (u64, u64) {
    let place = place();
    // Only some jobs have one.
    let _ = std::fs::hard_link(inputs.path().join("input"), place.path().join("input"));
    let mut command = command_of(program, place.path(), &["sh", "-c", peer.command]);
    let cost = cost(command.envs(table.environment.iter().copied()));
    (cost.time.as_nanos() as u64 / table.count, cost.processor.as_nanos() as u64 / table.count)
}

/// The loads beside which latency is measured: what the jobs have as `LOAD`.
pub(crate) const LOADS: [(&str, Option<&str>); 3] = [("idle", None), ("load", Some("100")), ("full speed", Some("0"))];

/// From `println!` to the byte on the console, in microseconds.
pub(crate) fn latency(program: &Path, job: &str, load: Option<&str>) -> Samples {
    let place = place();
    let mut command = command_of(program, place.path(), &["$BENCH", job]);
    let mut child = command.envs(load.map(|pause| ("LOAD", pause))).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut console = child.stdout.take().expect("its output");
    let (mut samples, mut text, mut buffer) = (Vec::new(), Vec::new(), vec![0; 1 << 16]);
    while let Ok(count @ 1..) = console.read(&mut buffer) {
        let now = monotonic();
        text.extend_from_slice(&buffer[..count]);
        // Quick, or this reader would be what the lines wait for.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        for line in text[..whole].split(|byte| *byte == b'\n').filter(|line| line.starts_with(b"tick ")) {
            let time: u64 = String::from_utf8_lossy(&line[5..]).parse().expect("a time");
            samples.push((now - time) / 1000);
        }
        text.drain(..whole);
    }
    assert!(child.wait().expect("it ends").success());
    samples.sort_unstable();
    Samples(samples)
}

/// The most memory that a run's collector has to itself while lines are printed, in kilobytes.
pub(crate) fn collector_memory() -> u64 {
    let place = place();
    let mut command = command(place.path(), &["$BENCH", "lines-guarded"]);
    let mut child = command.env("COUNT", "2000000").spawn().expect("it starts");
    let (mut most, mut collector) = (0, None);
    while child.try_wait().expect("its state").is_none() {
        collector = collector.or_else(|| collector_of(child.id()));
        let Some(pid) = &collector else { continue };
        let smaps = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let kilobytes = |line: &str| line.split_whitespace().nth(1)?.parse::<u64>().ok();
        most = most.max(smaps.lines().filter(|line| line.starts_with("Private_")).filter_map(kilobytes).sum());
    }
    most
}

fn collector_of(run: u32) -> Option<String> {
    std::fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let (name, fields) = stat.rsplit_once(") ")?;
        let is_ours = name.ends_with("(guard-collector") && fields.split(' ').nth(1) == Some(&run.to_string());
        is_ours.then(|| entry.file_name().to_string_lossy().into_owned())
    })
}

/// Kills a job that logs, at different moments: the most records that had been logged and are in no file.
pub(crate) fn lost_to_a_kill(logger: &str) -> u64 {
    (0..8_u64).map(|round| lost_to_one_kill(logger, round)).max().unwrap_or(0)
}

fn lost_to_one_kill(logger: &str, round: u64) -> u64 {
    let place = place();
    std::fs::write(place.path().join("counter"), [0; 8]).expect("the counter");
    let counter = || {
        let bytes = std::fs::read(place.path().join("counter")).expect("the counter");
        u64::from_ne_bytes(bytes.try_into().unwrap_or_default())
    };
    let mut command = command(place.path(), &["$BENCH", &format!("records-{logger}")]);
    let command = command.env("COUNT", "100000000").env("MAX_SIZE", "10000000000");
    let mut child = command.spawn().expect("it starts");
    while counter() == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(Duration::from_millis(5 + 3 * round));
    child.kill().expect("it lives");
    child.wait().expect("it is dead");
    let logged = || {
        let files = std::fs::read_dir(place.path())
            .expect("the directory")
            .flatten()
            .filter(|file| file.path().extension().is_some_and(|extension| extension == "log"));
        let texts = files.map(|file| std::fs::read_to_string(file.path()).unwrap_or_default());
        texts.map(|text| text.matches("to see what one costs\n").count() as u64).sum::<u64>()
    };
    // The collector needs a moment for the last of it; the others are dead.
    let (counted, deadline) = (counter(), Instant::now() + Duration::from_millis(500));
    while logged() < counted && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(5));
    }
    counted.saturating_sub(logged())
}
