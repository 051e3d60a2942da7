//! What a run tells the collector of its end.

use std::io::{Cursor, Write};
use std::time::Duration;

use guard_collector::protocol::{END_OF_CLOSING_LINE, LONGEST_ERROR, Severity, Told};
use guard_collector::{RunState, Seconds};

use crate::outcome::Outcome;
use crate::usage::Meter;

/// How it ended.
pub(crate) enum Ending {
    Returned(Outcome),
    Panicked,
    Dropped,
}

/// As the collector reads it (see the protocol).
pub(crate) fn closing_line(ending: &Ending, elapsed: Duration, meter: Meter) -> Vec<u8> {
    let usage = meter.usage();
    let cost = usage.map(|usage| format!(" {usage}")).unwrap_or_default();
    let took = format!("{:.3}s{cost}", elapsed.as_secs_f64());
    let code = match ending {
        Ending::Returned(Outcome::Code(code)) => Some(*code),
        _ => None,
    };
    let code_text = code.map(|code| format!("exit code {code}")).unwrap_or_default();
    let (severity, state, front, reason) = match ending {
        Ending::Returned(Outcome::Finished) => {
            (Severity::Info, RunState::Succeeded, format!("run finished in {took}"), "")
        }
        Ending::Returned(Outcome::Code(_)) => {
            (Severity::Error, RunState::Failed, format!("run failed in {took}: "), code_text.as_str())
        }
        Ending::Returned(Outcome::Failed(None)) => {
            (Severity::Error, RunState::Failed, format!("run failed in {took}"), "")
        }
        Ending::Returned(Outcome::Failed(Some(why))) => {
            (Severity::Error, RunState::Failed, format!("run failed in {took}: "), why.as_str())
        }
        Ending::Panicked => (Severity::Error, RunState::Panicked, format!("run panicked in {took}"), ""),
        Ending::Dropped => {
            let reason = "its future was dropped before it was done";
            (Severity::Warn, RunState::Dropped, format!("run dropped after {took}: "), reason)
        }
    };
    let mut end = LONGEST_ERROR.min(reason.len());
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    let (reason, cut) = (&reason[..end], if end < reason.len() { "…" } else { "" });
    let text = format!("guard_runtime: {front}{reason}{cut}");
    let detail = text.len() - reason.len() - cut.len();
    let exit_code = code.map(i32::from);
    let told = Told { state, exit_code, elapsed: Seconds(elapsed.as_micros() as u64), usage, detail };
    let mut line = vec![severity as u8];
    line.extend(format!("{told}{text}").bytes().map(|byte| if byte == 0 { b'?' } else { byte }));
    line.push(END_OF_CLOSING_LINE);
    line
}

/// The same of a process that ends by exit(3), with that code, where the C library tells it. Takes no memory.
pub(crate) fn exit_line(code: Option<i32>, elapsed: Duration, meter: Meter) -> Cursor<[u8; 512]> {
    let usage = meter.usage();
    let (severity, state) = match code {
        None => (Severity::Warn, RunState::Exited),
        Some(0) => (Severity::Info, RunState::Succeeded),
        Some(_) => (Severity::Error, RunState::Exited),
    };
    let mut text = Cursor::new([0; 256]);
    // None of these can be so long that they do not fit.
    let _ = text.write_all(b"guard_runtime: run ended by process::exit");
    let _ = code.map_or(Ok(()), |code| write!(text, "({code})"));
    let _ = write!(text, " after {:.3}s", elapsed.as_secs_f64());
    let _ = usage.map_or(Ok(()), |usage| write!(text, " {usage}"));
    let detail = text.position() as usize;
    let told = Told { state, exit_code: code, elapsed: Seconds(elapsed.as_micros() as u64), usage, detail };
    let mut line = Cursor::new([0; 512]);
    let _ = line.write_all(&[severity as u8]);
    let _ = write!(line, "{told}");
    let _ = line.write_all(&text.get_ref()[..detail]);
    let _ = line.write_all(&[END_OF_CLOSING_LINE]);
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_error_is_cut_between_two_letters() {
        // An odd number of bytes in front of letters of two.
        let why = "x".to_owned() + &"é".repeat(LONGEST_ERROR);
        let line =
            closing_line(&Ending::Returned(Outcome::Failed(Some(why))), Duration::from_millis(1500), Meter::start());
        let (told, text, reason) = Told::parse(&line[1..line.len() - 1]).unwrap();
        assert_eq!((told.state, told.elapsed), (RunState::Failed, Seconds(1_500_000)));
        assert!(text.starts_with(b"guard_runtime: run failed in 1.500s (0.") && text.ends_with(reason));
        let kept = std::str::from_utf8(reason).unwrap().strip_prefix("x").unwrap().strip_suffix("…").unwrap();
        assert_eq!(kept, "é".repeat(LONGEST_ERROR / 2 - 1));
    }
}
