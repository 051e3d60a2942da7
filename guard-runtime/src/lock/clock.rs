//! The clock that goes on while a machine sleeps: what a server counts as silence counts here too.

use std::ops::Add;
use std::time::Duration;

use rustix::time::{ClockId, Timespec, clock_gettime};

/// A moment, as time since the boot; setting the machine's clock does not move it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Time(Duration);

#[cfg(target_os = "linux")]
pub(crate) const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
pub(crate) const CLOCK: ClockId = ClockId::Monotonic;

impl Time {
    pub(crate) fn now() -> Self {
        let now = clock_gettime(CLOCK);
        Self(Duration::new(now.tv_sec as u64, now.tv_nsec as u32))
    }

    /// How long until then; zero once it is over.
    pub(crate) fn left(self) -> Duration {
        self.0.saturating_sub(Self::now().0)
    }

    pub(crate) fn micros(self) -> u64 {
        u64::try_from(self.0.as_micros()).unwrap_or(u64::MAX)
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

/// As system calls take it.
pub(crate) fn timespec(duration: Duration) -> Timespec {
    Timespec { tv_sec: duration.as_secs() as i64, tv_nsec: i64::from(duration.subsec_nanos()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_ever() {
        assert!((Time::now() + Duration::MAX).left() > Duration::from_secs(u64::MAX / 2));
    }
}
