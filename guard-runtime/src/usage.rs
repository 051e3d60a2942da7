//! What a run costs: processor time since its start, and the most memory its process had. (Said in the closing line by
//! the collector's crate, which cannot ask for another process.)

use guard_collector::Usage;
use guard_collector::sys::read_small;

/// A run's meter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    processor_at_start: u64,
}

impl Meter {
    /// Starts at the processor time that the process has used up to now.
    pub(crate) fn start() -> Self {
        Self { processor_at_start: processor() }
    }

    /// What the run has cost up to now. Takes no memory.
    pub(crate) fn usage(self) -> Option<Usage> {
        max_memory().map(|max_memory| Usage { processor: self.processor(), max_memory })
    }

    /// Microseconds of processor time since the start: this process', and that of its children that ended and were
    /// waited for.
    fn processor(self) -> u64 {
        processor().saturating_sub(self.processor_at_start)
    }
}

fn processor() -> u64 {
    [libc::RUSAGE_SELF, libc::RUSAGE_CHILDREN]
        .into_iter()
        .filter_map(usage)
        .map(|usage| {
            let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
            micros(usage.ru_utime) + micros(usage.ru_stime)
        })
        .sum()
}

/// The most memory that this process had, in bytes. Linux' `ru_maxrss` is not less than that of the program that
/// started this one, so it is asked only where /proc does not tell.
fn max_memory() -> Option<u64> {
    peak_in_proc().or_else(|| {
        let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
        usage(libc::RUSAGE_SELF).map(|usage| usage.ru_maxrss as u64 * unit)
    })
}

fn peak_in_proc() -> Option<u64> {
    let mut room = [0; 4096];
    let length = read_small(c"/proc/self/status", &mut room)?;
    let line = room[..length].split(|&byte| byte == b'\n').find_map(|line| line.strip_prefix(b"VmHWM:"))?;
    let kilobytes: u64 = std::str::from_utf8(line).ok()?.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1024)
}

#[allow(unsafe_code)]
fn usage(of: libc::c_int) -> Option<libc::rusage> {
    let mut usage = std::mem::MaybeUninit::uninit();
    // SAFETY: the kernel writes one such structure.
    let result = unsafe { libc::getrusage(of, usage.as_mut_ptr()) };
    // SAFETY: where it returns 0, it has.
    (result == 0).then(|| unsafe { usage.assume_init() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_this_process_and_the_children_that_were_waited_for() {
        let meter = Meter::start();
        let start = std::time::Instant::now();
        while meter.processor() < 20_000 {
            assert!(start.elapsed().as_secs() < 60);
        }
        let meter = Meter::start();
        let script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done";
        assert!(std::process::Command::new("/bin/sh").args(["-c", script]).status().unwrap().success());
        assert!(meter.processor() > 2_000, "{}", meter.processor());
    }

    #[test]
    fn memory_is_the_peak() {
        let before = max_memory().unwrap();
        let mut big = vec![0_u8; before as usize + 50_000_000];
        big.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
        assert!(big.iter().step_by(4096).all(|byte| *byte == 1));
        drop(big);
        let after = max_memory().unwrap();
        assert!(after > before + 40_000_000, "{before} {after}");
    }
}
