//! Compares the guard with its peers, side by side and interleaved, in one run: medians, and ratios of medians.
//!
//! The floor in it is a reader that takes batches out of a pipe of 1 MiB and discards them.
//!
//! `cargo run --release -p bench [ROUNDS]` prints tables and writes `bench/figures.svg`. Peers that are not on PATH are left
//! out (Debian: apache2-utils, daemontools, runit, s6). `bench memory` measures what a run costs a process that holds much
//! memory; `bench against ROUNDS PROGRAM…` what the guard costs beside the bench programs of other commits. With a first argument
//! that names a job, this program is that job.

mod against;
mod job;
mod loggers;
mod measure;
mod memory;
mod peers;
mod plot;
mod report;

use measure::{Samples, command, cost, place};
use peers::{Peer, Table};
use plot::Group;
use report::{PER_LINE, report};

fn main() {
    let argument = std::env::args().nth(1);
    if argument.as_deref().is_some_and(job::run) {
        return;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if memory::run(&arguments) || against::run(&arguments) {
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

fn compare(table: &Table, rounds: usize) -> Group {
    let peers: Vec<&Peer> = table.peers.iter().filter(|peer| is_on_path(peer.needs)).collect();
    let mut times = vec![(Samples::default(), Samples::default()); peers.len()];
    let (program, inputs) = (measure::this_program(), measure::inputs(table));
    for _ in 0..rounds {
        for (peer, (time, processor)) in peers.iter().zip(&mut times) {
            let cost = measure::cost_each(&program, table, peer, &inputs);
            time.push(cost.0);
            processor.push(cost.1);
        }
    }
    let rows = peers.iter().map(|peer| peer.name).zip(&times);
    report(&format!("{}{PER_LINE}", table.title), "ns", rows)
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
    for (name, load) in measure::LOADS {
        for (whose, job) in [("guard", "ticks-guarded"), ("bare", "ticks")] {
            let samples = measure::latency(&measure::this_program(), job, load);
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
