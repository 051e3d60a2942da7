//! The stamp in front of a line: RFC 3339, UTC, microseconds, as `2026-02-20T01:51:45.123456Z`.

use core::ops::Range;

use rustix::event::Timespec;

use crate::sys::clock;

/// Bytes of a stamp.
pub(crate) const LENGTH: usize = 27;

/// Microseconds since 1970 by the system's clock.
#[inline]
pub fn now() -> u64 {
    clock(libc::CLOCK_REALTIME)
}

/// Microseconds by a clock that nobody sets.
pub fn monotonic() -> u64 {
    clock(libc::CLOCK_MONOTONIC)
}

/// So many microseconds, as poll(2) wants them.
pub(crate) fn timespec(micros: u64) -> Timespec {
    Timespec { tv_sec: (micros / 1_000_000) as i64, tv_nsec: (micros % 1_000_000) as i64 * 1_000 }
}

/// Microseconds since the boot, those in which the machine slept included, where the system counts them.
pub fn since_boot() -> u64 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return clock(libc::CLOCK_BOOTTIME);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    return monotonic();
}

/// So many microseconds the stamps may be ahead of the clock, which was set back: further ahead than that they follow it.
const MOST_AHEAD: u64 = 5_000_000;

/// Formats stamps that do not run backwards, but where the clock did. Allocates nothing; the calendar is asked once a second.
pub struct Stamper {
    last: u64,
    second: u64,
    text: [u8; LENGTH],
}

/// One that has given out no stamp yet.
impl Default for Stamper {
    fn default() -> Self {
        Self { last: 0, second: u64::MAX, text: *b"1970-01-01T00:00:00.000000Z" }
    }
}

impl Stamper {
    /// The time that the stamp of `time` says.
    pub fn next(&self, time: u64) -> u64 {
        if time >= self.last {
            return time;
        }
        let now = now();
        if self.last > now + MOST_AHEAD { time.max(now) } else { self.last }
    }

    /// The stamp of `time` (microseconds since 1970), or of the last one given out where that is later.
    pub fn stamp(&mut self, time: u64) -> &[u8; LENGTH] {
        self.last = self.next(time);
        let (second, micros) = (self.last / 1_000_000, self.last % 1_000_000);
        if second != self.second {
            self.second = second;
            if let Ok(date) = time::OffsetDateTime::from_unix_timestamp(second as i64) {
                let month = u8::from(date.month());
                self.digits(0..4, date.year() as u64);
                for (at, value) in
                    [(5, month), (8, date.day()), (11, date.hour()), (14, date.minute()), (17, date.second())]
                {
                    self.digits(at..at + 2, value.into());
                }
            }
        }
        self.digits(20..26, micros);
        &self.text
    }

    fn digits(&mut self, place: Range<usize>, mut value: u64) {
        for digit in self.text.get_mut(place).unwrap_or_default().iter_mut().rev() {
            *digit = b'0' + (value % 10) as u8;
            value /= 10;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(time: u64) -> String {
        String::from_utf8_lossy(Stamper::default().stamp(time)).into_owned()
    }

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
    fn a_clock_that_was_ahead() {
        let mut stamper = Stamper::default();
        let soon = text(now() + 6_000_000);
        let text = |stamp: &[u8; LENGTH]| String::from_utf8_lossy(stamp).into_owned();
        assert!(text(stamper.stamp(now() + 60_000_000)) > soon);
        let after = text(stamper.stamp(0));
        assert!(after < soon, "{after}");
        assert_eq!(text(stamper.stamp(0)), after, "and does not run backwards from there");
    }

    #[test]
    fn never_backwards() {
        let mut stamper = Stamper::default();
        let first = *stamper.stamp(1_771_552_305_123_456);
        assert_eq!(stamper.stamp(5), &first);
        assert!(stamper.stamp(1_771_552_305_123_457) > &first);
    }
}
