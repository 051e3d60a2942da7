//! Moments as text: RFC 3339, UTC, microseconds, as `2026-02-20T01:51:45.123456Z`.

use core::fmt;

use time::{Date, Month, OffsetDateTime};

/// A moment in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment(pub u64);

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (second, micros) = (self.0 / 1_000_000, self.0 % 1_000_000);
        let date = i64::try_from(second).ok().and_then(|second| OffsetDateTime::from_unix_timestamp(second).ok());
        let date = date.ok_or(fmt::Error)?;
        let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
        let (hour, minute, second) = (date.hour(), date.minute(), date.second());
        write!(formatter, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

impl Moment {
    /// The latest that has a text: the end of the year 9999.
    pub const LATEST: Self = Self(253_402_300_799_999_999);

    /// Reads the text of a moment, in UTC, with no fraction of a second or one of any length.
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
        let [year, month, day] = parts(date, '-')?;
        let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
        let [hour, minute, second] = parts(time, ':')?;
        let date = Date::from_calendar_date(
            year.try_into().ok()?,
            Month::try_from(u8::try_from(month).ok()?).ok()?,
            day.try_into().ok()?,
        );
        let moment =
            date.ok()?.with_hms(hour.try_into().ok()?, minute.try_into().ok()?, second.try_into().ok()?).ok()?;
        let second = u64::try_from(moment.assume_utc().unix_timestamp()).ok()?;
        Some(Self(second * 1_000_000 + micros(fraction)?))
    }
}

/// The millionths that the digits behind a point say; what is finer is cut off.
pub(crate) fn micros(fraction: &str) -> Option<u64> {
    if fraction.is_empty() || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    Some(fraction.bytes().chain([b'0'; 6]).take(6).fold(0, |micros, digit| micros * 10 + u64::from(digit - b'0')))
}

fn parts(text: &str, separator: char) -> Option<[u32; 3]> {
    let mut parts = text.split(separator);
    let mut next = || parts.next().filter(|part| part.bytes().all(|digit| digit.is_ascii_digit()))?.parse().ok();
    let three = [next()?, next()?, next()?];
    parts.next().is_none().then_some(three)
}

/// Microseconds as seconds with six digits behind the point, as JSON and Prometheus read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub u64);

impl fmt::Display for Seconds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A length of time as texts for people have it, of microseconds: `2h`, `1m 30s`, `2.500s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span(pub u64);

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0 / 1_000_000, self.0 / 1_000 % 1_000);
        let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m")];
        let mut is_first = true;
        for (count, unit) in parts.into_iter().filter(|(count, _)| *count > 0) {
            write!(f, "{}{count}{unit}", if is_first { "" } else { " " })?;
            is_first = false;
        }
        let separator = if is_first { "" } else { " " };
        match (seconds % 60, millis) {
            (0, 0) if !is_first => Ok(()),
            (seconds, 0) => write!(f, "{separator}{seconds}s"),
            (seconds, millis) => write!(f, "{separator}{seconds}.{millis:03}s"),
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn known_moments() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (1_771_552_305_123_456, "2026-02-20T01:51:45.123456Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00.000000Z"),
            (Moment::LATEST.0, "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(Moment(micros).to_string(), text);
            assert_eq!(Moment::parse(text), Some(Moment(micros)));
        }
        assert_eq!(Moment::parse("1970-01-01T00:00:01Z"), Some(Moment(1_000_000)));
        assert_eq!(Moment::parse("1970-01-01T00:00:00.25Z"), Some(Moment(250_000)));
        for wrong in [
            "",
            "Z",
            "TZ",
            "1970-01-01T00:00:00",
            "1970-02-30T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1969-12-31T00:00:00Z",
        ] {
            assert_eq!(Moment::parse(wrong), None, "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_moment_reads_back(micros in 0..=Moment::LATEST.0) {
            assert_eq!(Moment::parse(&Moment(micros).to_string()), Some(Moment(micros)));
        }

        #[test]
        fn any_text_is_read_without_a_panic(text: std::string::String) {
            let _ = Moment::parse(&text);
        }
    }
}
