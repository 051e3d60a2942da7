//! What a run cost, as the closing line says it: `(12.1s processor, 231 MB)`.

use core::fmt;

/// Processor time and memory of a run that told them before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Microseconds of processor time since the run's start, its children's that it has waited for included.
    pub processor: u64,
    /// The most memory that its process had, in bytes.
    pub max_memory: u64,
}

impl fmt::Display for Usage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (second, tenth) = (1_000_000, 100_000);
        if self.processor < second {
            // In thousandths: a job that mostly waits.
            write!(formatter, "(0.{:03}s processor, ", self.processor / 1_000)?;
        } else {
            let tenths = self.processor.saturating_add(tenth / 2) / tenth;
            write!(formatter, "({}.{}s processor, ", tenths / 10, tenths % 10)?;
        }
        let megabyte = 1_000_000;
        if self.max_memory < 10 * megabyte {
            let tenths = self.max_memory / (megabyte / 10);
            write!(formatter, "{}.{} MB)", tenths / 10, tenths % 10)
        } else {
            write!(formatter, "{} MB)", self.max_memory / megabyte)
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn words() {
        for (processor, max_memory, text) in [
            (12_149_999, 231_999_999, "(12.1s processor, 231 MB)"),
            (12_150_000, 10_000_000, "(12.2s processor, 10 MB)"),
            (0, 0, "(0.000s processor, 0.0 MB)"),
            (999_999, 9_999_999, "(0.999s processor, 9.9 MB)"),
            (1_000_000, 4_400_000_000, "(1.0s processor, 4400 MB)"),
            (36_000_000_000, 999, "(36000.0s processor, 0.0 MB)"),
        ] {
            assert_eq!(Usage { processor, max_memory }.to_string(), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn any_usage_has_a_text(processor: u64, max_memory: u64) {
            let _ = Usage { processor, max_memory }.to_string();
        }
    }
}
