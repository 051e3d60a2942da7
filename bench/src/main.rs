//! Compares the guard with its peers, side by side and interleaved, in one run: medians, and ratios of medians.
//!
//! The floor in it is a reader that takes batches out of a pipe of 1 MiB and discards them.
//!
//! `cargo run --release -p bench [ROUNDS]` prints tables and writes `bench/figures.svg`. Peers that are not on PATH are left
//! out (Debian: apache2-utils, daemontools, runit, s6). `bench memory` measures what a run costs a process that holds much
//! memory. With a first argument that names a job, this program is that job.

mod job;
mod loggers;
mod measure;
mod memory;
mod peers;
mod plot;

use std::io::Write;

use measure::{Samples, command, cost, place};
use peers::{Peer, Table};
use plot::{Bar, Group};

fn main() {
    let argument = std::env::args().nth(1);
    if argument.as_deref().is_some_and(job::run) {
        return;
    }
    if memory::run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        return;
    }
    if let Some("latency") = argument.as_deref() {
        return latency();
    }
    println!("{}", measure::machine());
    let rounds = argument.and_then(|rounds| rounds.parse().ok()).unwrap_or(7);
    let mut groups: Vec<Group> = peers::TABLES.iter().map(|table| compare(table, rounds)).collect();
    groups.push(starts(rounds * 15));
    survival();
    latency();
    println!("\nprivate memory of the collector, at most: {} kB", measure::collector_memory());
    growth(rounds);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/figures.svg");
    groups.retain(|group| !group.title.contains("threads") && !group.title.contains("Python"));
    std::fs::write(path, plot::svg(&groups)).expect("the plot");
    println!("\nthe plot: {path}");
}

fn is_on_path(program: &str) -> bool {
    program.is_empty()
        || std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(program).exists()))
}

/// `COUNT` lines of 90 bytes in a file.
fn write_input(place: &std::path::Path, lines: u64) {
    let file = std::fs::File::create(place.join("input")).expect("the input");
    let mut file = std::io::BufWriter::new(file);
    for number in 0..lines {
        writeln!(file, "{number:08} {}", "x".repeat(80)).expect("the input");
    }
}

const PER_LINE: &str = ": ns each (and ns of all processors)";

fn compare(table: &Table, rounds: usize) -> Group {
    let peers: Vec<&Peer> = table.peers.iter().filter(|peer| is_on_path(peer.needs)).collect();
    let mut times = vec![(Samples::default(), Samples::default()); peers.len()];
    let inputs = place();
    if let Some((_, lines)) = table.environment.iter().find(|(name, _)| *name == "INPUT") {
        write_input(inputs.path(), lines.parse().expect("a number"));
    }
    for _ in 0..rounds {
        for (peer, (time, processor)) in peers.iter().zip(&mut times) {
            let place = place();
            // Only some jobs have one.
            let _ = std::fs::hard_link(inputs.path().join("input"), place.path().join("input"));
            let mut command = command(place.path(), &["sh", "-c", peer.command]);
            let cost = cost(command.envs(table.environment.iter().copied()));
            time.push(cost.time.as_nanos() as u64 / table.count);
            processor.push(cost.processor.as_nanos() as u64 / table.count);
        }
    }
    let rows = peers.iter().map(|peer| peer.name).zip(&times);
    report(&format!("{}{PER_LINE}", table.title), "ns", rows)
}

/// Prints a table, the guard's row first, and returns it as bars.
fn report<'a>(
    title: &str,
    unit: &'static str,
    rows: impl Iterator<Item = (&'a str, &'a (Samples, Samples))> + Clone,
) -> Group {
    println!("\n{title}");
    let (_, ours) = rows.clone().next().expect("the guard's row");
    let mut bars = Vec::new();
    for (name, (time, processor)) in rows {
        let (median, (least, most)) = (time.median(), time.range());
        let ratio = |ours: &Samples, theirs: &Samples| ours.median() as f64 / theirs.median().max(1) as f64;
        println!(
            "  {name:<24} {median:>7} {unit} ({least}..{most})  guard: {:.2}x   processor {:>6}  guard: {:.2}x",
            ratio(&ours.0, time),
            processor.median(),
            ratio(&ours.1, processor)
        );
        bars.push(Bar { name: name.to_owned(), value: median as f64 });
    }
    let title = title.trim_end_matches(PER_LINE).to_owned();
    Group { title, unit, bars }
}

fn starts(rounds: usize) -> Group {
    let mut times = vec![(Samples::default(), Samples::default()); peers::STARTS.len()];
    for _ in 0..rounds {
        for ((_, words), (time, processor)) in peers::STARTS.iter().zip(&mut times) {
            let place = place();
            let cost = cost(&mut command(place.path(), words));
            time.push(cost.time.as_nanos() as u64 / 1000);
            processor.push(cost.processor.as_nanos() as u64 / 1000);
        }
    }
    report("start and exit: us", "us", peers::STARTS.iter().map(|(name, _)| *name).zip(&times))
}

fn survival() {
    println!("\nrecords that had been logged and are in no file, after kill -9 at 8 moments: the most");
    for logger in peers::KILLED {
        let lost = measure::lost_to_a_kill(logger);
        println!("  {logger:<24} {lost:>7}   {}", if lost == 0 { "survives" } else { "loses its buffer" });
    }
}

fn latency() {
    println!("\nfrom println! to the byte on the console: us");
    let loads = [("idle", None), ("load", Some("100")), ("full speed", Some("0"))];
    for (name, load) in loads {
        for (whose, job) in [("guard", "ticks-guarded"), ("bare", "ticks")] {
            let samples = measure::latency(job, load);
            let (median, high, most) = (samples.median(), samples.at(99), samples.range().1);
            println!("  {:<24} median {median:>5}, 99 of 100 under {high:>5}, most {most}", format!("{whose}, {name}"));
        }
    }
}

/// What a line costs as the work grows.
fn growth(rounds: usize) {
    println!("\nns a line of 90 bytes, as the work grows");
    let cases = [
        ("10,000 lines", 10_000, "5000000", "5"),
        ("100,000 lines", 100_000, "5000000", "5"),
        ("1,000,000 lines", 1_000_000, "5000000", "5"),
        ("10,000,000 lines", 10_000_000, "5000000", "5"),
        ("100,000,000 lines", 100_000_000, "5000000", "5"),
        ("1,000,000, no backup", 1_000_000, "5000000", "0"),
        ("1,000,000, 999 backups", 1_000_000, "5000000", "999"),
        ("1,000,000, log of 1 MB", 1_000_000, "1000000", "5"),
        ("1,000,000, log of 1 GB", 1_000_000, "2000000000", "5"),
    ];
    let mut times = vec![Samples::default(); cases.len()];
    for round in 0..rounds {
        for ((name, count, max_size, backups), times) in cases.iter().zip(&mut times) {
            if *count > 1_000_000 && round > 0 && (*count > 10_000_000 || round > 2) {
                continue;
            }
            let place = place();
            // As many as there will be, and a log that has grown already.
            for number in 1..=backups.parse::<u32>().expect("a number") {
                std::fs::write(place.path().join(format!("run.log.{number}")), "").expect("a backup");
            }
            let log = std::fs::File::create(place.path().join("run.log")).expect("the log");
            if name.ends_with("1 GB") {
                log.set_len(1_000_000_000).expect("a large log");
            }
            let mut command = command(place.path(), &["$BENCH", "lines-guarded"]);
            command.env("COUNT", count.to_string()).env("MAX_SIZE", max_size).env("BACKUPS", backups);
            // What the start costs is another table's.
            let nothing = cost(&mut measure::command(place.path(), &["$BENCH", "nothing-guarded"])).time;
            let time = cost(&mut command).time.saturating_sub(nothing);
            times.push(time.as_nanos() as u64 / count);
        }
    }
    for ((name, ..), times) in cases.iter().zip(&times) {
        let (least, most) = times.range();
        println!("  {name:<24} {:>5} ({least}..{most})", times.median());
    }
}
