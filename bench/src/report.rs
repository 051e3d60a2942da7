//! Prints what was measured: a row for each peer, the guard's beside the others.

use crate::measure::Samples;
use crate::plot::{Bar, Group};

pub(crate) const PER_LINE: &str = ": ns each (and ns of all processors)";

/// Prints a table, the guard's row first, and returns it as bars.
pub(crate) fn report<'a>(
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
