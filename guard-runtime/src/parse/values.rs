//! How a size and a duration are read: once, for the compiler (`const`) and at run time alike.

use std::fmt;
use std::time::Duration;

/// A text that says no size, duration or level. Its message says what would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseError(&'static str);

impl ParseError {
    /// What would be right. `const`, for a panic that is a compile error.
    pub const fn message(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for ParseError {}

pub(crate) const NO_ROOM: ParseError = ParseError("a size of 0 leaves no room for a line");

/// Reads a size such as `"5MB"` or `"512KiB"` as bytes. Units: `B`, `KB`, `MB`, `GB` (powers of 1,000), `KiB`, `MiB`,
/// `GiB` (powers of 1,024); none means bytes. `const`, so that a mistake in a constant is a compile error.
///
/// ```
/// assert_eq!(guard_runtime::parse_size("5MB"), Ok(5_000_000));
/// assert_eq!(guard_runtime::parse_size("512KiB"), Ok(524_288));
/// assert!(guard_runtime::parse_size("5 apples").is_err());
/// ```
///
/// # Errors
/// A text that says what would be right, for anything else, for zero, and for more than 2^63 - 1 bytes.
pub const fn parse_size(text: &str) -> Result<u64, ParseError> {
    const WRONG: ParseError = ParseError(
        "not a size: write a whole number and a unit, as in \"5MB\", \"512KiB\", \"1GB\" \
                         (B, KB, MB, GB, KiB, MiB, GiB), or an integer of bytes",
    );
    let (number, unit) = match leading_number(text.as_bytes(), 0) {
        Some((number, end)) => (number, rest(text.as_bytes(), end)),
        None => return Err(WRONG),
    };
    let factor: u64 = match unit {
        b"" | b"B" => 1,
        b"KB" | b"kB" => 1_000,
        b"MB" => 1_000_000,
        b"GB" => 1_000_000_000,
        b"KiB" => 1 << 10,
        b"MiB" => 1 << 20,
        b"GiB" => 1 << 30,
        _ => return Err(WRONG),
    };
    match number.checked_mul(factor) {
        Some(0) => Err(NO_ROOM),
        Some(bytes) if bytes <= i64::MAX as u64 => Ok(bytes),
        _ => Err(ParseError("a size of more than 2^63 - 1 bytes fits no file")),
    }
}

/// Reads a duration such as `"30s"`, `"5m"` or `"1h30m"`: whole numbers with the units `ms`, `s`, `m`, `h`, `d`.
/// `const`, so that a mistake in a constant is a compile error.
///
/// ```
/// use std::time::Duration;
/// assert_eq!(guard_runtime::parse_duration("1h30m"), Ok(Duration::from_secs(5400)));
/// assert!(guard_runtime::parse_duration("soon").is_err());
/// ```
///
/// # Errors
/// A text that says what would be right.
pub const fn parse_duration(text: &str) -> Result<Duration, ParseError> {
    const WRONG: ParseError = ParseError(
        "not a duration: write whole numbers with units, as in \"30s\", \"5m\", \"1h30m\" \
                         (ms, s, m, h, d)",
    );
    let bytes = text.as_bytes();
    let (mut at, mut millis) = (0, 0_u64);
    while at < bytes.len() || at == 0 {
        let Some((number, end)) = leading_number(bytes, at) else { return Err(WRONG) };
        let (factor, length) = match rest(bytes, end) {
            [b'm', b's', ..] => (1, 2),
            [b's', ..] => (1_000, 1),
            [b'm', ..] => (60_000, 1),
            [b'h', ..] => (3_600_000, 1),
            [b'd', ..] => (86_400_000, 1),
            _ => return Err(WRONG),
        };
        millis = match number.checked_mul(factor) {
            Some(part) => match millis.checked_add(part) {
                Some(sum) => sum,
                None => return Err(WRONG),
            },
            None => return Err(WRONG),
        };
        at = end + length;
    }
    Ok(Duration::from_millis(millis))
}

/// Reads a level: `"off"`, `"error"`, `"warn"`, `"info"`, `"debug"` or `"trace"`.
///
/// # Errors
/// A text that lists them, for anything else.
pub const fn parse_level(text: &str) -> Result<log::LevelFilter, ParseError> {
    use log::LevelFilter;
    Ok(match text.as_bytes() {
        b"off" => LevelFilter::Off,
        b"error" => LevelFilter::Error,
        b"warn" => LevelFilter::Warn,
        b"info" => LevelFilter::Info,
        b"debug" => LevelFilter::Debug,
        b"trace" => LevelFilter::Trace,
        _ => {
            return Err(ParseError(
                "not a level: write \"off\", \"error\", \"warn\", \"info\", \"debug\" or \"trace\"",
            ));
        }
    })
}

const fn leading_number(bytes: &[u8], start: usize) -> Option<(u64, usize)> {
    let (mut at, mut number) = (start, 0_u64);
    while at < bytes.len() && bytes[at].is_ascii_digit() {
        number = match number.checked_mul(10) {
            Some(tens) => match tens.checked_add((bytes[at] - b'0') as u64) {
                Some(sum) => sum,
                None => return None,
            },
            None => return None,
        };
        at += 1;
    }
    if at == start { None } else { Some((number, at)) }
}

const fn rest(bytes: &[u8], start: usize) -> &[u8] {
    bytes.split_at(start).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("1", 1),
            ("17B", 17),
            ("5kB", 5_000),
            ("5KB", 5_000),
            ("5MB", 5_000_000),
            ("5GB", 5_000_000_000),
            ("5KiB", 5 * 1024),
            ("5MiB", 5 * 1024 * 1024),
            ("2GiB", 1 << 31),
            ("9223372036854775807", i64::MAX as u64),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in [
            "",
            "MB",
            "5 MB",
            "5mb",
            "-1",
            "1.5MB",
            "0",
            "99999999999GB",
            "9223372036854775808",
            "18446744073709551616",
        ] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn levels() {
        for level in log::LevelFilter::iter() {
            assert_eq!(parse_level(&level.as_str().to_lowercase()), Ok(level));
        }
        assert!(parse_level("INFO").is_err() && parse_level("").is_err());
    }

    #[test]
    fn durations() {
        for (text, millis) in [("30s", 30_000), ("5m", 300_000), ("1h30m", 5_400_000), ("1d", 86_400_000), ("7ms", 7)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "s", "5 s", "1h30", "99999999999999999999s", "9999999999999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }
}
