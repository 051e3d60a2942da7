//! This build beside others: `bench against ROUNDS PROGRAM…`, each the bench program of another commit.
//!
//! Copies of one program differ by a few percent, by where they lie in memory: two of each tell what is chance.

use std::path::{Path, PathBuf};

use crate::measure::{self, Samples, cost, place};
use crate::peers;
use crate::report::{PER_LINE, report};

/// What is measured in one round: time and processor time.
type Measure<'a> = dyn Fn(&Path) -> (u64, u64) + 'a;

pub(crate) fn run(arguments: &[String]) -> bool {
    let Some(("against", arguments)) = arguments.split_first().map(|(first, rest)| (first.as_str(), rest)) else {
        return false;
    };
    let usage = "bench against ROUNDS PROGRAM…";
    let (rounds, others) = arguments.split_first().expect(usage);
    let rounds = rounds.parse().expect(usage);
    println!("{}", measure::machine());
    // Absolute: each is started in a directory of its own.
    let absolute = |other: &String| std::fs::canonicalize(other).unwrap_or_else(|error| panic!("{other}: {error}"));
    let programs: Vec<PathBuf> = std::iter::once(measure::this_program()).chain(others.iter().map(absolute)).collect();
    for table in peers::TABLES.iter().filter(|table| !table.title.contains("Python")) {
        let inputs = measure::inputs(table);
        let each = |program: &Path| measure::cost_each(program, table, &table.peers[0], &inputs);
        compare(&format!("{}{PER_LINE}", table.title), "ns", &programs, rounds, &each);
    }
    compare("start and exit: us", "us", &programs, 15 * rounds, &|program| {
        let cost = cost(&mut measure::command_of(program, place().path(), peers::STARTS[0].1));
        (cost.time.as_micros() as u64, cost.processor.as_micros() as u64)
    });
    for (name, load) in measure::LOADS {
        let title = format!("from println! to the byte on the console, {name}: us, the median and 99 of 100");
        compare(&title, "us", &programs, rounds, &|program| {
            let samples = measure::latency(program, "ticks-guarded", load);
            (samples.median(), samples.at(99))
        });
    }
    true
}

/// Prints a table; whoever comes first in a round comes last in the next.
fn compare(title: &str, unit: &'static str, programs: &[PathBuf], rounds: usize, measure: &Measure<'_>) {
    let mut samples = vec![(Samples::default(), Samples::default()); programs.len()];
    for round in 0..rounds {
        for turn in 0..programs.len() {
            let at = (round + turn) % programs.len();
            let (first, second) = measure(&programs[at]);
            samples[at].0.push(first);
            samples[at].1.push(second);
        }
    }
    let names = programs.iter().map(|program| program.to_str().expect("a path in UTF-8"));
    report(title, unit, names.zip(&samples));
}
