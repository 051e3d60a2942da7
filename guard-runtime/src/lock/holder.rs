//! Who holds a lock: the record in its file, which tells and never decides.

use std::ffi::CString;
use std::fmt;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::is_there;
use guard_collector::sys::read_small;
use guard_collector::{Moment, now, since_boot, without_size_signal};

/// A holder that cannot be seen (another pid namespace, another machine) has its helper touch the lock file once a minute:
/// one that was not touched for so long is not known to live.
const SIGN_OF_LIFE: Duration = Duration::from_secs(150);

/// A holder's record is a few lines; whatever is longer is not one.
pub(super) const RECORD_LIMIT: u64 = 4096;

/// Who holds a lock, from the record in the lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Its program's path, as it was called.
    pub program: String,
    /// The host it runs on.
    pub host: String,
    /// When it took the lock, by its system's clock. Where it holds the lock for what is left of a run: when that died.
    pub started: SystemTime,
    /// How long ago that was: by the time since the boot, or of a holder on another machine by the system's clock.
    pub age: Duration,
    /// What it still waits for before its run begins: the cluster lock, which another machine's run holds.
    pub waits_for: Option<String>,
    /// It runs in another pid namespace or on another machine: `pid` is its number there. That it lives is known from the
    /// lock file, which its helper touches once a minute.
    pub elsewhere: bool,
    /// The run itself is dead: its helper holds the lock for what is left of it, since its death.
    pub left: Option<Left>,
}

/// What is left of a run that died.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Left {
    /// The run's process, which is dead.
    pub pid: u32,
    /// Those of its processes that live, as far as they could be found: `pid 4711 (rsync), pid 4712 (sh) and 12 more`.
    pub processes: String,
}

/// The lock is held by another process, or by another part of this one.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Contention {
    /// The lock file.
    pub path: PathBuf,
    /// Its holder, where the record in the file is known to be the living holder's. It never decides who holds the lock.
    pub holder: Option<Holder>,
}

impl fmt::Display for Contention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is held by ", self.path.display())?;
        match &self.holder {
            None => f.write_str("an unknown process"),
            Some(holder) => f.write_str(&holder.told(format_args!("{:.3}s", holder.age.as_secs_f64()))),
        }
    }
}

impl Holder {
    /// RFC 3339, UTC, microseconds.
    pub(crate) fn started_text(&self) -> String {
        let since_1970 = self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Moment(u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX).min(Moment::LATEST.0)).to_string()
    }

    /// The holder in words, its age in those of the caller.
    pub(crate) fn told(&self, age: impl fmt::Display) -> String {
        let Self { pid, program, host, elsewhere, waits_for, left, .. } = self;
        let started = self.started_text();
        if let Some(Left { pid, processes }) = left {
            return format!("what is left of pid {pid}, which died {started}, {age} ago: {processes}");
        }
        let place =
            if *elsewhere { format!("of another pid namespace or machine (host {host}) ") } else { String::new() };
        let waits = waits_for.as_ref().map(|what| format!(", waiting for {what}")).unwrap_or_default();
        format!("pid {pid} {place}({program}), started {started}, {age} ago{waits}")
    }
}

/// Tells losers who holds it. It never decides who does. Returns the lines that a helper's record has too.
pub(super) fn write_record(file: &File) -> io::Result<String> {
    let (pid, started) = (std::process::id(), now());
    let stamp = Moment(started);
    let common = common_record(stamp);
    let record = format!(
        "pid={pid}\nstarted={stamp}\nstarted_us={started}\nstarted_after_boot_us={}\nbirth={}\n{common}",
        since_boot(),
        birth(pid).unwrap_or(0),
    );
    file.set_len(0)?;
    let written = match without_size_signal(|| file.write_all_at(record.as_bytes(), 0)) {
        // No room (or no more of it for this process): losers then know of no holder, and that is all.
        Err(error)
            if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge) =>
        {
            file.set_len(0)
        }
        result => result,
    };
    written.map(|()| common)
}

/// What the record of a run has in common with that of a helper that keeps the lock for what is left of it.
fn common_record(started: Moment) -> String {
    format!(
        "run_started={started}\nhost={}\nboot={}\npid_namespace={}\nprogram={}\n",
        rustix::system::uname().nodename().to_string_lossy(),
        boot_id(),
        pid_namespace(),
        std::env::args_os().next().unwrap_or_default().display().to_string().replace(['\n', '\0'], "?"),
    )
}

/// Who holds the lock by its file's record. The file is read: no lock is tried, and none is made.
///
/// # Errors
/// As [`is_there`], and what keeps the file from being read.
pub(crate) fn recorded_holder(path: &Path) -> io::Result<Option<Holder>> {
    if !is_there(path)? {
        return Ok(None);
    }
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    Ok(read_holder(&mut File::options().read(true).custom_flags(flags).open(path)?))
}

/// The record, if it is the living holder's for sure.
pub(super) fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(RECORD_LIMIT).read_to_string(&mut text).ok()?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    let pid = field("pid")?.parse().ok()?;
    let started: u64 = field("started_us")?.parse().ok()?;
    let birth_recorded: u64 = field("birth")?.parse().ok()?;
    let boot = boot_id();
    let same_boot = field("boot")? == boot && !boot.is_empty();
    let elsewhere = !same_boot || field("pid_namespace")? != pid_namespace();
    // The time of its birth tells a process from a later one with the same number.
    let lives = if elsewhere { was_touched_lately(file) } else { birth(pid) == Some(birth_recorded) };
    if !lives {
        return None;
    }
    // The system's clock may have been set since; what has passed since the boot cannot be.
    let age = match field("started_after_boot_us").and_then(|started| started.parse().ok()) {
        Some(started) if same_boot => since_boot().saturating_sub(started),
        _ => now().saturating_sub(started),
    };
    Some(Holder {
        pid,
        program: field("program")?.to_owned(),
        host: field("host")?.to_owned(),
        started: SystemTime::UNIX_EPOCH + Duration::from_micros(started.min(Moment::LATEST.0)),
        age: Duration::from_micros(age),
        elsewhere,
        left: field("left_of").and_then(|pid| {
            Some(Left { pid: pid.parse().ok()?, processes: field("left").unwrap_or_default().to_owned() })
        }),
        waits_for: field("waits_for").map(str::to_owned),
    })
}

/// Or a while ahead, where another machine's clock is.
fn was_touched_lately(file: &File) -> bool {
    let Ok(touched) = file.metadata().and_then(|file| file.modified()) else { return false };
    let now = SystemTime::now();
    now.duration_since(touched).unwrap_or_else(|error| error.duration()) < SIGN_OF_LIFE
}

pub(super) fn boot_id() -> String {
    let mut room = [0; 64];
    let length = read_small(c"/proc/sys/kernel/random/boot_id", &mut room).unwrap_or_default();
    String::from_utf8_lossy(&room[..length]).trim().to_owned()
}

/// As `pid:[4026531836]`; empty where there is no /proc.
pub(crate) fn pid_namespace() -> String {
    std::fs::read_link("/proc/self/ns/pid").unwrap_or_default().display().to_string()
}

/// When a living process was started, in clock ticks since the boot (proc(5), field 22 of stat).
fn birth(pid: u32) -> Option<u64> {
    let mut room = [0; 1024];
    let path = CString::new(format!("/proc/{pid}/stat")).ok()?;
    let length = read_small(&path, &mut room)?;
    // The name in parentheses may contain anything, parentheses included.
    let name_end = room[..length].iter().rposition(|&byte| byte == b')')?;
    let behind_name = std::str::from_utf8(&room[name_end + 1..length]).ok()?;
    behind_name.split_ascii_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::PipelineLock;

    fn holder_of(text: &str) -> Option<Holder> {
        holder_touched(text, Duration::ZERO)
    }

    fn holder_touched(text: &str, ago: Duration) -> Option<Holder> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.lock");
        std::fs::write(&path, text).unwrap();
        let mut file = File::options().read(true).write(true).open(path).unwrap();
        file.set_modified(SystemTime::now() - ago).unwrap();
        read_holder(&mut file)
    }

    #[test]
    fn only_the_living_holders_record_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("deep/er/a.lock");
        let lock = PipelineLock::acquire(&path).unwrap();
        let record = std::fs::read_to_string(&path).unwrap();
        assert_eq!(holder_of(&record).unwrap().pid, std::process::id());

        let birth = birth(std::process::id()).unwrap();
        let other_birth = record.replace(&format!("birth={birth}"), &format!("birth={}", birth + 1));
        let dead = record.replace(&format!("pid={}\n", std::process::id()), "pid=4194305\n");
        for text in ["", "garbage", "pid=\n", &record[..20], &other_birth, &dead] {
            assert_ne!(text, record);
            assert_eq!(holder_of(text), None, "{text}");
        }
        drop(lock);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "", "it exists, and names nobody");
    }

    /// Whom this process cannot look at lives if the file was touched lately.
    #[test]
    fn a_holder_elsewhere_gives_a_sign_of_life() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.lock");
        let _lock = PipelineLock::acquire(&path).unwrap();
        let record = std::fs::read_to_string(&path).unwrap();
        let other_boot = record.replace("\nboot=", "\nboot=x");
        let other_namespace = record.replace("\npid_namespace=", "\npid_namespace=x");
        for text in [other_boot, other_namespace] {
            assert_ne!(text, record);
            let holder = holder_touched(&text, Duration::from_secs(100)).unwrap();
            assert!(holder.elsewhere && holder.age < Duration::from_secs(60), "{holder:?}");
            let told = Contention { path: path.clone(), holder: Some(holder) }.to_string();
            assert!(told.contains("of another pid namespace or machine (host "), "{told}");
            assert_eq!(holder_touched(&text, Duration::from_secs(200)), None, "{text}");
        }
        assert!(!holder_touched(&record, Duration::from_secs(200)).unwrap().elsewhere, "this one can be looked at");
    }
}
