//! The stamp in front of a line: RFC 3339, UTC, microseconds, as `2026-02-20T01:51:45.123456Z`.

use rustix::time::{ClockId, clock_gettime};

/// Bytes of a stamp.
pub(crate) const LENGTH: usize = 27;

/// Microseconds since 1970 by the system's clock.
pub(crate) fn now() -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

/// Microseconds by a clock that nobody sets.
pub(super) fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

/// Formats stamps that never run backwards. Allocates nothing; the calendar is asked once a second.
pub(crate) struct Stamper {
    last: u64,
    second: u64,
    text: [u8; LENGTH],
}

impl Stamper {
    pub(crate) fn new() -> Self {
        Self { last: 0, second: u64::MAX, text: *b"1970-01-01T00:00:00.000000Z" }
    }

    /// The stamp of `time` (microseconds since 1970), or of the last one given out where that is later.
    pub(crate) fn stamp(&mut self, time: u64) -> &[u8; LENGTH] {
        self.last = self.last.max(time);
        let (second, micros) = (self.last / 1_000_000, self.last % 1_000_000);
        if second != self.second {
            self.second = second;
            if let Ok(date) = time::OffsetDateTime::from_unix_timestamp(second as i64) {
                digits(&mut self.text[0..4], date.year() as u64);
                digits(&mut self.text[5..7], u64::from(u8::from(date.month())));
                digits(&mut self.text[8..10], u64::from(date.day()));
                digits(&mut self.text[11..13], u64::from(date.hour()));
                digits(&mut self.text[14..16], u64::from(date.minute()));
                digits(&mut self.text[17..19], u64::from(date.second()));
            }
        }
        digits(&mut self.text[20..26], micros);
        &self.text
    }
}

/// One stamp as text, where allocating is fine.
pub(crate) fn text(time: u64) -> String {
    String::from_utf8_lossy(Stamper::new().stamp(time)).into_owned()
}

fn digits(field: &mut [u8], mut value: u64) {
    for digit in field.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments() {
        assert_eq!(text(0), "1970-01-01T00:00:00.000000Z");
        assert_eq!(text(1_771_552_305_123_456), "2026-02-20T01:51:45.123456Z");
        assert_eq!(text(951_782_399_999_999), "2000-02-28T23:59:59.999999Z");
        assert_eq!(text(951_782_400_000_000), "2000-02-29T00:00:00.000000Z");
    }

    #[test]
    fn clocks_tell_microseconds() {
        let micros = || std::time::UNIX_EPOCH.elapsed().unwrap().as_micros() as u64;
        let (before, ours, after) = (micros(), now(), micros());
        assert!((before..=after).contains(&ours), "{before} {ours} {after}");
        let start = std::time::Instant::now();
        let first = monotonic();
        let inner = std::time::Instant::now();
        std::thread::sleep(std::time::Duration::from_millis(20));
        let least = inner.elapsed().as_micros() as u64;
        let passed = monotonic() - first;
        let most = start.elapsed().as_micros() as u64;
        assert!((least.saturating_sub(1)..=most + 1).contains(&passed), "{least} {passed} {most}");
    }

    #[test]
    fn never_backwards() {
        let mut stamper = Stamper::new();
        let first = *stamper.stamp(1_771_552_305_123_456);
        assert_eq!(stamper.stamp(5), &first);
        assert!(stamper.stamp(1_771_552_305_123_457) > &first);
    }
}
