//! The parts of a line of the log: `2026-11-25T13:05:16.000000Z [OUT  ] the text`.

/// Bytes of the stamp.
const STAMP: usize = 27;
/// From the stamp to the text: blank, bracket, five letters, bracket, blank.
const TAG: std::ops::Range<usize> = STAMP + 1..TEXT - 1;
/// Where the text starts.
pub const TEXT: usize = 36;

pub fn stamp(line: &str) -> &str {
    &line[..STAMP]
}

/// With its brackets: `[OUT  ]` and `[ERR  ]` for printed text, `[OUT +]` where it goes on with the line before, levels for
/// records.
pub fn tag(line: &str) -> &str {
    &line[TAG]
}

/// None where a killed collector left less than a stamp.
pub fn text(line: &str) -> Option<&str> {
    line.get(TEXT..)
}

/// Our own lines are records of this target.
pub fn is_ours(line: &str) -> bool {
    line.contains("] guard_runtime: ")
}

/// The last line of a run.
pub fn is_closing(line: &str) -> bool {
    let said = text(line).and_then(|text| text.strip_prefix("guard_runtime: run "));
    said.is_some_and(|said| {
        ["finished in", "failed in", "panicked in", "ended", "dropped", "timed out"]
            .iter()
            .any(|how| said.starts_with(how))
            // The next run says it, of one that could not.
            || said.starts_with("of pid ") && said.ends_with("ended without a trace")
    })
}
