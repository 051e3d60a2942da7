//! The status file: is the run alive, how did it end, when did one last succeed. One JSON object, written whole and read
//! back by the next run.

use core::fmt::{self, Write};

use crate::exit_status::Ended;
use crate::json::{self, Value};
use crate::moment::{Moment, Seconds};
use crate::replace::{Place, Unreadable};

/// What a run is doing, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// It has not ended.
    Running,
    /// It returned well, or left by `exit(0)`.
    Succeeded,
    /// It returned an error, or an exit code other than 0.
    Failed,
    /// It panicked.
    Panicked,
    /// It left by `exit` with a code other than 0.
    Exited,
    /// A signal ended it.
    Killed,
    /// It took too long and was ended.
    TimedOut,
    /// Its future was dropped before it was done.
    Dropped,
    /// It and its helpers vanished together, as the next run found out.
    Lost,
}

impl RunState {
    /// Every state there is.
    pub(crate) const ALL: [Self; 9] = [
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Panicked,
        Self::Exited,
        Self::Killed,
        Self::TimedOut,
        Self::Dropped,
        Self::Lost,
    ];

    /// Its word, in the file and in `GUARD_STATE`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::Exited => "exited",
            Self::Killed => "killed",
            Self::TimedOut => "timed_out",
            Self::Dropped => "dropped",
            Self::Lost => "lost",
        }
    }

    /// The state that the word names.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// What `GUARD_EXIT_CODE` says, which is 0 for a run that succeeded and for no other: the run's own code, 128 + N for
    /// signal N, 124 for one that took too long. Where there is no code, what Rust ends with: 101 after a panic, else 1.
    pub fn hook_code(self, ended: Ended) -> i32 {
        match (self, ended) {
            (Self::Succeeded, _) => 0,
            (Self::TimedOut, _) => 124,
            (_, Ended::Exited(code)) if code != 0 => code,
            (_, Ended::Signaled { signal, .. }) => 128 + signal,
            (Self::Panicked, _) => 101,
            _ => 1,
        }
    }
}

/// A run that succeeded: when it started and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Success {
    /// When it started.
    pub started: Moment,
    /// When it ended.
    pub ended: Moment,
}

/// What one run hands on to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The last run that succeeded, if any did.
    pub last_success: Option<Success>,
    /// Runs since then that did not.
    pub failures_in_a_row: u64,
}

impl History {
    /// What it is once a run has ended so.
    #[must_use]
    pub fn after(self, state: RunState, started: Moment, ended: Moment) -> Self {
        match state {
            RunState::Running => self,
            RunState::Succeeded => Self { last_success: Some(Success { started, ended }), failures_in_a_row: 0 },
            _ => Self { failures_in_a_row: self.failures_in_a_row.saturating_add(1), ..self },
        }
    }
}

/// What the file says. Text is any bytes; what is not known is `None` and becomes `null`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status<'a> {
    /// The run's id, drawn at its start.
    pub run: u64,
    /// What it is doing, or how it ended.
    pub state: RunState,
    /// Its process.
    pub pid: i32,
    /// The machine's name.
    pub host: &'a [u8],
    /// The program's file.
    pub program: &'a [u8],
    /// When it started.
    pub started: Moment,
    /// When it ended.
    pub ended: Option<Moment>,
    /// How long it took, by a clock that nobody sets.
    pub elapsed: Option<Seconds>,
    /// What is known of the reason.
    pub detail: Option<&'a [u8]>,
    /// The process' code or signal.
    pub exit: Ended,
    /// Processor time of the run and its children.
    pub processor: Option<Seconds>,
    /// The most memory that it had, in bytes.
    pub max_memory: Option<u64>,
    /// The lock file.
    pub lock: &'a [u8],
    /// The log file.
    pub log: &'a [u8],
    /// What came before, this run included once it has ended.
    pub history: History,
}

/// Longer texts are cut to so many bytes, escaped: the file stays short enough to be read back.
const LONGEST_TEXT: usize = 8 * 1024;

/// Room for any status.
pub(crate) const ROOM: usize = 5 * LONGEST_TEXT + 2 * 1024;

impl Status<'_> {
    /// Writes the object, a member a line.
    ///
    /// # Errors
    /// Where `out` is full; it never is with [`ROOM`] bytes.
    pub(crate) fn write(&self, out: &mut impl Write) -> fmt::Result {
        let (exit_code, signal) = match self.exit {
            Ended::Exited(code) => (Some(code), None),
            Ended::Signaled { signal, .. } => (None, Some(signal)),
            Ended::Unknown => (None, None),
        };
        write!(out, "{{\n  \"version\": 1,\n  \"state\": \"{}\",\n", self.state.word())?;
        write!(out, "  \"run\": \"{:016x}\",\n  \"pid\": {},\n", self.run, self.pid)?;
        text(out, "host", self.host)?;
        text(out, "program", self.program)?;
        write!(out, "  \"started\": \"{}\",\n  \"ended\": ", self.started)?;
        match self.ended {
            Some(ended) => write!(out, "\"{ended}\""),
            None => out.write_str("null"),
        }?;
        writeln!(out, ",\n  \"seconds\": {},", OrNull(self.elapsed))?;
        match self.detail {
            Some(detail) => text(out, "detail", detail),
            None => out.write_str("  \"detail\": null,\n"),
        }?;
        write!(out, "  \"exit_code\": {},\n  \"signal\": {},\n", OrNull(exit_code), OrNull(signal))?;
        writeln!(out, "  \"processor_seconds\": {},", OrNull(self.processor))?;
        writeln!(out, "  \"max_memory_bytes\": {},", OrNull(self.max_memory))?;
        text(out, "lock", self.lock)?;
        text(out, "log", self.log)?;
        match self.history.last_success {
            Some(Success { started, ended }) => {
                writeln!(out, "  \"last_success\": {{\"started\": \"{started}\", \"ended\": \"{ended}\"}},")
            }
            None => out.write_str("  \"last_success\": null,\n"),
        }?;
        write!(out, "  \"failures_in_a_row\": {}\n}}\n", self.history.failures_in_a_row)
    }
}

fn text(out: &mut impl Write, key: &str, bytes: &[u8]) -> fmt::Result {
    write!(out, "  \"{key}\": ")?;
    json::write_string(out, bytes, LONGEST_TEXT)?;
    out.write_str(",\n")
}

struct OrNull<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for OrNull<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(formatter),
            None => formatter.write_str("null"),
        }
    }
}

/// What is read back of another run's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Previous {
    /// Its run.
    pub run: u64,
    /// What became of that.
    pub state: RunState,
    /// Its process.
    pub pid: i32,
    /// When it started.
    pub started: Moment,
    /// What it hands on.
    pub history: History,
}

impl Previous {
    /// Reads the file; `None` where there is none.
    ///
    /// # Errors
    /// What stands there instead.
    pub fn read(place: &Place<'_>, room: &mut [u8]) -> Result<Option<Self>, Unreadable> {
        let Some(bytes) = place.read(room)? else { return Ok(None) };
        let text = core::str::from_utf8(bytes).map_err(|_| Unreadable::NotOurs)?;
        Self::parse(text).map(Some).ok_or(Unreadable::NotOurs)
    }

    /// Reads what [`Status::write`] wrote, whoever has laid it out anew since.
    pub fn parse(text: &str) -> Option<Self> {
        let (mut version, mut run, mut state, mut pid, mut started, mut failures) =
            (None, None, None, None, None, None);
        let mut last_success = None;
        json::members(text, &mut |key, value| match (key, value) {
            ("version", Value::Number(number)) => version = Some(number),
            ("run", Value::String(text)) => run = u64::from_str_radix(text, 16).ok(),
            ("state", Value::String(text)) => state = RunState::from_word(text),
            ("pid", Value::Number(number)) => pid = number.parse().ok(),
            ("started", Value::String(text)) => started = Moment::parse(text),
            ("failures_in_a_row", Value::Number(number)) => failures = number.parse().ok(),
            ("last_success", Value::Null) => last_success = Some(None),
            ("last_success", Value::Object(object)) => last_success = success(object).map(Some),
            _ => {}
        })?;
        let history = History { last_success: last_success?, failures_in_a_row: failures? };
        (version? == "1").then_some(())?;
        Some(Self { run: run?, state: state?, pid: pid?, started: started?, history })
    }

    /// Whether the run `run`, which started at `started`, may write over this: not where it belongs to a later run. The
    /// lock is free before a killed run's status stands.
    pub fn gives_way_to(&self, run: u64, started: Moment) -> bool {
        self.run == run || self.started.0 < started.0
    }
}

fn success(object: &str) -> Option<Success> {
    let (mut started, mut ended) = (None, None);
    json::members(object, &mut |key, value| match (key, value) {
        ("started", Value::String(text)) => started = Moment::parse(text),
        ("ended", Value::String(text)) => ended = Moment::parse(text),
        _ => {}
    })?;
    Some(Success { started: started?, ended: ended? })
}

#[cfg(test)]
mod tests {

    use proptest::prelude::*;

    use super::*;
    use crate::buffer::Buffer;

    fn example() -> Status<'static> {
        Status {
            run: 0xabc,
            state: RunState::Killed,
            pid: 4711,
            host: b"db1",
            program: b"/usr/bin/nightly",
            started: Moment(1_771_552_305_123_456),
            ended: Some(Moment(1_771_552_319_981_456)),
            elapsed: Some(Seconds(14_858_000)),
            detail: Some(b"killed by SIGKILL"),
            exit: Ended::Signaled { signal: 9, core_dumped: false },
            processor: None,
            max_memory: None,
            lock: b"/run/lock/nightly.lock",
            log: b"/var/log/nightly.log",
            history: History {
                last_success: Some(Success { started: Moment(1_000_000), ended: Moment(2_500_000) }),
                failures_in_a_row: 3,
            },
        }
    }

    fn text_of(status: &Status<'_>) -> String {
        let mut room = vec![0; ROOM];
        let mut out = Buffer::new(&mut room);
        status.write(&mut out).unwrap();
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn every_key_as_others_read_it() {
        let read: serde_json::Value = serde_json::from_str(&text_of(&example())).unwrap();
        let expected = serde_json::json!({
            "version": 1, "state": "killed", "run": "0000000000000abc", "pid": 4711, "host": "db1",
            "program": "/usr/bin/nightly", "started": "2026-02-20T01:51:45.123456Z",
            "ended": "2026-02-20T01:51:59.981456Z", "seconds": 14.858, "detail": "killed by SIGKILL",
            "exit_code": null, "signal": 9, "processor_seconds": null, "max_memory_bytes": null,
            "lock": "/run/lock/nightly.lock", "log": "/var/log/nightly.log",
            "last_success": {"started": "1970-01-01T00:00:01.000000Z", "ended": "1970-01-01T00:00:02.500000Z"},
            "failures_in_a_row": 3,
        });
        for (key, value) in expected.as_object().unwrap() {
            if key == "seconds" {
                assert_eq!(read[key].as_f64(), value.as_f64());
            } else {
                assert_eq!(&read[key], value, "{key}");
            }
        }
        assert_eq!(read.as_object().unwrap().len(), expected.as_object().unwrap().len());
        let running = Status {
            state: RunState::Running,
            ended: None,
            elapsed: None,
            detail: None,
            exit: Ended::Unknown,
            history: History::default(),
            ..example()
        };
        let read: serde_json::Value = serde_json::from_str(&text_of(&running)).unwrap();
        for key in ["ended", "seconds", "detail", "exit_code", "signal", "last_success"] {
            assert!(read[key].is_null(), "{key}");
        }
        let exited = Status { state: RunState::Exited, exit: Ended::Exited(3), ..running };
        let read: serde_json::Value = serde_json::from_str(&text_of(&exited)).unwrap();
        assert_eq!(read["exit_code"], 3);
    }

    #[test]
    fn what_is_not_ours_or_not_whole_counts_as_none() {
        let whole = text_of(&example());
        assert!(Previous::parse(&whole).is_some());
        for end in 0..whole.trim_end().len() {
            assert_eq!(Previous::parse(&whole[..end]), None, "{end}");
        }
        for (from, to) in
            [("\"version\": 1", "\"version\": 2"), ("killed\"", "asleep\""), ("\"run\"", "\"id\""), ("T01", " 01")]
        {
            assert_eq!(Previous::parse(&whole.replacen(from, to, 1)), None, "{from}");
        }
        let value: serde_json::Value = serde_json::from_str(&whole).unwrap();
        assert_eq!(Previous::parse(&value.to_string()), Previous::parse(&whole), "laid out anew");
    }

    #[test]
    fn a_status_never_passes_what_is_read_back() {
        let long = vec![1; 100_000];
        let status = Status { host: &long, program: &long, detail: Some(&long), lock: &long, log: &long, ..example() };
        let text = text_of(&status);
        assert!(text.len() < crate::replace::LONGEST);
        assert!(Previous::parse(&text).is_some());
    }

    #[test]
    fn history_of_good_and_bad_nights() {
        let (start, end) = (Moment(1), Moment(2));
        let failed = History::default().after(RunState::Failed, start, end).after(RunState::Lost, start, end);
        assert_eq!(failed, History { last_success: None, failures_in_a_row: 2 });
        let good = failed.after(RunState::Succeeded, start, end);
        assert_eq!(good, History { last_success: Some(Success { started: start, ended: end }), failures_in_a_row: 0 });
        let bad = good.after(RunState::Killed, Moment(3), Moment(4));
        assert_eq!(bad, History { failures_in_a_row: 1, ..good });
        assert_eq!(bad.after(RunState::Running, start, end), bad);
    }

    #[test]
    fn a_later_run_is_not_written_over() {
        let later = Previous::parse(&text_of(&example())).unwrap();
        assert!(later.gives_way_to(0xabc, Moment(0)), "the run's own");
        assert!(!later.gives_way_to(1, Moment(later.started.0 - 1)));
        assert!(!later.gives_way_to(1, later.started));
        assert!(later.gives_way_to(1, Moment(later.started.0 + 1)));
    }

    #[test]
    fn the_code_for_the_hook_is_zero_for_success_alone() {
        let signaled = Ended::Signaled { signal: 9, core_dumped: false };
        for (state, ended, code) in [
            (RunState::Succeeded, Ended::Unknown, 0),
            (RunState::Succeeded, Ended::Exited(0), 0),
            (RunState::Failed, Ended::Exited(1), 1),
            (RunState::Failed, Ended::Exited(0), 1),
            (RunState::Failed, Ended::Unknown, 1),
            (RunState::Exited, Ended::Exited(3), 3),
            (RunState::Killed, signaled, 137),
            (RunState::Killed, Ended::Unknown, 1),
            (RunState::TimedOut, signaled, 124),
            (RunState::TimedOut, Ended::Exited(0), 124),
            (RunState::Panicked, Ended::Unknown, 101),
            (RunState::Dropped, Ended::Exited(0), 1),
            (RunState::Lost, Ended::Unknown, 1),
        ] {
            assert_eq!(state.hook_code(ended), code, "{state:?} {ended:?}");
        }
    }

    proptest! {
        #[test]
        fn any_status_is_json_and_reads_back(
            run: u64, index in 0..RunState::ALL.len(), pid: i32, texts: [Vec<u8>; 5],
            moments in prop::array::uniform4(0..=Moment::LATEST.0), failures: u64, succeeded: bool, code: Option<i32>,
        ) {
            let [host, program, detail, lock, log] = &texts;
            let [started, ended, success_started, success_ended] = moments.map(Moment);
            let history = History {
                last_success: succeeded.then_some(Success { started: success_started, ended: success_ended }),
                failures_in_a_row: failures,
            };
            let state = RunState::ALL[index];
            let status = Status {
                run, state, pid, host, program, started, ended: Some(ended), elapsed: Some(Seconds(ended.0)),
                detail: Some(detail), exit: code.map_or(Ended::Unknown, Ended::Exited), processor: Some(Seconds(failures)),
                max_memory: Some(run), lock, log, history,
            };
            let text = text_of(&status);
            let read: serde_json::Value = serde_json::from_str(&text).unwrap();
            for (key, bytes) in [("host", host), ("program", program), ("detail", detail), ("lock", lock), ("log", log)] {
                prop_assert_eq!(read[key].as_str(), Some(&*String::from_utf8_lossy(bytes)));
            }
            prop_assert_eq!(Previous::parse(&text), Some(Previous { run, state, pid, started, history }));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text: String) {
            let _ = Previous::parse(&text);
        }
    }
}
