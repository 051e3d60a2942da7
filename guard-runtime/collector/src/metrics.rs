//! The same for Prometheus: the text that `node_exporter`'s textfile collector serves, read back by the next run.
//!
//! What is not known has no sample: an alert on a value that was made up would be worse than none.

use core::fmt::{self, Write};

use crate::moment::{Moment, Seconds, micros};
use crate::replace::{Place, Unreadable};
use crate::status::{History, RunState};
use crate::usage::Usage;

/// The samples of one task. Those named `last_` tell of the last run that ended, also while another is running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Metrics {
    /// A run is going on.
    pub running: bool,
    /// When the last run started, which may be running still.
    pub last_start: Option<Moment>,
    /// When the last run ended.
    pub last_end: Option<Moment>,
    /// When the last run that succeeded ended.
    pub last_success: Option<Moment>,
    /// How long the last run took.
    pub last_duration: Option<Seconds>,
    /// Whether it succeeded.
    pub last_succeeded: Option<bool>,
    /// Runs since the last success.
    pub failures_in_a_row: u64,
    /// Processor time of the last run.
    pub last_processor: Option<Seconds>,
    /// The most memory that the last run had, in bytes.
    pub last_max_memory: Option<u64>,
}

/// Room for any metrics.
pub(crate) const ROOM: usize = 12 * 1024;

/// The names of the samples.
mod name {
    pub(super) const RUNNING: &str = "guard_run_running";
    pub(super) const LAST_START: &str = "guard_run_last_start_timestamp_seconds";
    pub(super) const LAST_END: &str = "guard_run_last_end_timestamp_seconds";
    pub(super) const LAST_SUCCESS: &str = "guard_run_last_success_timestamp_seconds";
    pub(super) const LAST_DURATION: &str = "guard_run_last_duration_seconds";
    pub(super) const LAST_SUCCEEDED: &str = "guard_run_last_succeeded";
    pub(super) const FAILURES: &str = "guard_run_failures_in_a_row";
    pub(super) const LAST_PROCESSOR: &str = "guard_run_last_processor_seconds";
    pub(super) const LAST_MAX_MEMORY: &str = "guard_run_last_max_memory_bytes";
}

impl Metrics {
    /// What they are once a run has started at `started`.
    #[must_use]
    pub(crate) fn started(self, started: Moment) -> Self {
        Self { running: true, last_start: Some(started), ..self }
    }

    /// What they are once the run has ended, or was found lost: then `ended` is not known.
    #[must_use]
    pub(crate) fn ended(
        self,
        state: RunState,
        ended: Option<Moment>,
        duration: Option<Seconds>,
        usage: Option<Usage>,
    ) -> Self {
        let succeeded = state == RunState::Succeeded;
        Self {
            running: false,
            last_start: self.last_start,
            last_end: ended,
            last_success: if succeeded { ended } else { self.last_success },
            last_duration: duration,
            last_succeeded: Some(succeeded),
            failures_in_a_row: if succeeded { 0 } else { self.failures_in_a_row.saturating_add(1) },
            last_processor: usage.map(|usage| Seconds(usage.processor)),
            last_max_memory: usage.map(|usage| usage.max_memory),
        }
    }

    /// The same with what a status file knows: that is the one to be believed, unless it knows of no success. It may be a new
    /// one, for it was lost (in /run, at a boot) or is a later wish than the metrics.
    #[must_use]
    pub(crate) fn with_history(self, history: History) -> Self {
        match history.last_success {
            Some(success) => {
                Self { last_success: Some(success.ended), failures_in_a_row: history.failures_in_a_row, ..self }
            }
            None => Self { failures_in_a_row: self.failures_in_a_row.max(history.failures_in_a_row), ..self },
        }
    }

    /// Writes the text. `task` is the lock file's name without its ending.
    ///
    /// # Errors
    /// Where `out` is full; it never is with [`ROOM`] bytes.
    pub(crate) fn write(&self, task: &[u8], out: &mut impl Write) -> fmt::Result {
        let task = Label(task);
        let mut gauge = |name: &str, help: &str, value: Option<&dyn fmt::Display>| match value {
            Some(value) => {
                write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name}{{task=\"{task}\"}} {value}\n")
            }
            None => Ok(()),
        };
        let seconds = |moment: Option<Moment>| moment.map(|moment| Seconds(moment.0));
        gauge(name::RUNNING, "Whether a run is going on (1) or not (0).", Some(&u8::from(self.running)))?;
        let (start, end, success) = (seconds(self.last_start), seconds(self.last_end), seconds(self.last_success));
        gauge(name::LAST_START, "When the last run started, in seconds since 1970.", shown(start.as_ref()))?;
        gauge(name::LAST_END, "When the last run ended, in seconds since 1970.", shown(end.as_ref()))?;
        gauge(
            name::LAST_SUCCESS,
            "When the last successful run ended, in seconds since 1970.",
            shown(success.as_ref()),
        )?;
        gauge(name::LAST_DURATION, "How long the last run took, in seconds.", shown(self.last_duration.as_ref()))?;
        let succeeded = self.last_succeeded.map(u8::from);
        gauge(name::LAST_SUCCEEDED, "Whether the last run succeeded (1) or not (0).", shown(succeeded.as_ref()))?;
        gauge(name::FAILURES, "Runs without success since the last successful one.", Some(&self.failures_in_a_row))?;
        let help = "Processor time of the last run and its children, in seconds.";
        gauge(name::LAST_PROCESSOR, help, shown(self.last_processor.as_ref()))?;
        gauge(
            name::LAST_MAX_MEMORY,
            "The most memory that the last run had, in bytes.",
            shown(self.last_max_memory.as_ref()),
        )
    }

    /// Reads the file; `None` where there is none.
    ///
    /// # Errors
    /// What stands there instead.
    pub(crate) fn read(place: &Place<'_>, room: &mut [u8]) -> Result<Option<Self>, Unreadable> {
        let Some(bytes) = place.read(room)? else { return Ok(None) };
        let text = core::str::from_utf8(bytes).map_err(|_| Unreadable::NotOurs)?;
        Self::parse(text).map(Some).ok_or(Unreadable::NotOurs)
    }

    /// Reads what [`write`](Self::write) wrote. One that was cut short lacks its last lines and cannot be told from a
    /// whole one by that, but the replacement is atomic.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (mut metrics, mut running, mut failures) = (Self::default(), None, None);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (name, rest) = line.split_once('{')?;
            // Behind the last brace: the label's value may hold one.
            let value = rest.rsplit_once("} ")?.1;
            let seconds = || Some(Seconds(parse_seconds(value)?));
            let moment = || parse_seconds(value).map(Moment).filter(|moment| moment.0 <= Moment::LATEST.0);
            match name {
                name::RUNNING => running = Some(parse_bool(value)?),
                name::LAST_START => metrics.last_start = Some(moment()?),
                name::LAST_END => metrics.last_end = Some(moment()?),
                name::LAST_SUCCESS => metrics.last_success = Some(moment()?),
                name::LAST_DURATION => metrics.last_duration = Some(seconds()?),
                name::LAST_SUCCEEDED => metrics.last_succeeded = Some(parse_bool(value)?),
                name::FAILURES => failures = Some(value.parse().ok()?),
                name::LAST_PROCESSOR => metrics.last_processor = Some(seconds()?),
                name::LAST_MAX_MEMORY => metrics.last_max_memory = Some(value.parse().ok()?),
                _ => {}
            }
        }
        Some(Self { running: running?, failures_in_a_row: failures?, ..metrics })
    }

    /// Whether the run that started at `started` may write over these: not where they tell of a later one.
    pub(crate) fn give_way_to(&self, started: Moment) -> bool {
        self.last_start.is_none_or(|last| last.0 <= started.0)
    }
}

fn shown<T: fmt::Display>(value: Option<&T>) -> Option<&dyn fmt::Display> {
    value.map(|value| value as &dyn fmt::Display)
}

fn parse_bool(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// Microseconds.
fn parse_seconds(text: &str) -> Option<u64> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(micros(fraction)?)
}

/// A label's value: what is not UTF-8 becomes U+FFFD.
struct Label<'a>(&'a [u8]);

impl fmt::Display for Label<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            let replacement = if chunk.invalid().is_empty() { "" } else { "\u{fffd}" };
            for letter in chunk.valid().chars().chain(replacement.chars()) {
                match letter {
                    '\\' => formatter.write_str("\\\\"),
                    '"' => formatter.write_str("\\\""),
                    '\n' => formatter.write_str("\\n"),
                    letter => formatter.write_char(letter),
                }?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {

    use proptest::prelude::*;

    use super::*;
    use crate::buffer::Buffer;

    fn text(metrics: &Metrics, task: &[u8]) -> String {
        let mut room = vec![0; ROOM];
        let mut out = Buffer::new(&mut room);
        metrics.write(task, &mut out).unwrap();
        String::from_utf8(out.to_vec()).unwrap()
    }

    fn any_metrics() -> impl Strategy<Value = Metrics> {
        let moment = || prop::option::of((0..=Moment::LATEST.0).prop_map(Moment));
        let seconds = || prop::option::of(any::<u64>().prop_map(Seconds));
        let moments = (moment(), moment(), moment());
        let others = (any::<bool>(), any::<Option<bool>>(), any::<u64>(), any::<Option<u64>>());
        (moments, others, seconds(), seconds()).prop_map(
            |((last_start, last_end, last_success), (running, succeeded, failures, memory), duration, processor)| {
                Metrics {
                    running,
                    last_start,
                    last_end,
                    last_success,
                    last_duration: duration,
                    last_succeeded: succeeded,
                    failures_in_a_row: failures,
                    last_processor: processor,
                    last_max_memory: memory,
                }
            },
        )
    }

    #[test]
    fn the_text_of_a_run_from_start_to_end() {
        let started = Metrics::default().started(Moment(1_500_000));
        assert_eq!(
            text(&started, b"nightly"),
            "# HELP guard_run_running Whether a run is going on (1) or not (0).\n\
             # TYPE guard_run_running gauge\n\
             guard_run_running{task=\"nightly\"} 1\n\
             # HELP guard_run_last_start_timestamp_seconds When the last run started, in seconds since 1970.\n\
             # TYPE guard_run_last_start_timestamp_seconds gauge\n\
             guard_run_last_start_timestamp_seconds{task=\"nightly\"} 1.500000\n\
             # HELP guard_run_failures_in_a_row Runs without success since the last successful one.\n\
             # TYPE guard_run_failures_in_a_row gauge\n\
             guard_run_failures_in_a_row{task=\"nightly\"} 0\n"
        );
        let well = started.ended(
            RunState::Succeeded,
            Some(Moment(2_000_000)),
            Some(Seconds(500_000)),
            Some(Usage { processor: 9, max_memory: 4096 }),
        );
        assert_eq!(
            (well.running, well.last_succeeded, well.last_success),
            (false, Some(true), Some(Moment(2_000_000)))
        );
        let again = well.started(Moment(3_000_000));
        assert_eq!((again.running, again.last_end, again.last_succeeded), (true, well.last_end, Some(true)));
        let killed = again.ended(RunState::Killed, Some(Moment(4_000_000)), Some(Seconds(1_000_000)), None);
        assert_eq!(
            (killed.last_success, killed.failures_in_a_row, killed.last_max_memory),
            (well.last_success, 1, None)
        );
        let lost = killed.started(Moment(5_000_000)).ended(RunState::Lost, None, None, None);
        assert_eq!((lost.failures_in_a_row, lost.last_succeeded, lost.last_end), (2, Some(false), None));
        assert!(lost.give_way_to(Moment(5_000_000)) && !lost.give_way_to(Moment(4_999_999)));
    }

    #[test]
    fn every_line_is_by_the_conventions_whatever_the_task_is_called() {
        for task in [&b"a\"b\\c\nd} 7"[..], b"\xff", b"", "näch}tlich".as_bytes()] {
            let metrics = Metrics::default();
            assert_eq!(Metrics::parse(&text(&metrics, task)), Some(metrics), "{task:?}");
        }
        assert!(text(&Metrics::default(), b"a\"b\\c\nd").contains(r#"{task="a\"b\\c\nd"}"#));
    }

    /// The real thing has the last word.
    #[test]
    #[ignore = "needs promtool (Debian: prometheus)"]
    fn promtool_is_silent() {
        use std::io::Write as _;
        use std::process::{Command, Stdio};
        let whole = Metrics::default().started(Moment(1_771_552_305_123_456)).ended(
            RunState::Succeeded,
            Some(Moment(1_771_552_315_123_456)),
            Some(Seconds(10_000_000)),
            Some(Usage { processor: 9_500_000, max_memory: 1 << 30 }),
        );
        for (metrics, task) in
            [(whole, &b"nightly"[..]), (Metrics::default(), b"nightly"), (whole, b"a\"b\\c\nd} 7\xff")]
        {
            let mut child = Command::new("promtool")
                .args(["check", "metrics"])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            child.stdin.take().unwrap().write_all(text(&metrics, task).as_bytes()).unwrap();
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{output:?}");
            assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
        }
    }

    proptest! {
        #[test]
        fn any_metrics_read_back(metrics in any_metrics(), task: std::vec::Vec<u8>) {
            let mut text = String::new();
            metrics.write(&task, &mut text).unwrap();
            prop_assert_eq!(Metrics::parse(&text), Some(metrics));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text: String) {
            let _ = Metrics::parse(&text);
        }
    }
}
