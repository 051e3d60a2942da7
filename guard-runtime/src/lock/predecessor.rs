//! The run that held the lock before, where it died: has anybody written how it ended?
//!
//! A run that ends by itself empties the lock's record. The record of one that died stays, with the process group of its
//! helpers, until the next run; a helper adds a line to it once the closing line stands.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::{Timespec, Timestamps};
use rustix::io::Errno;
use rustix::process::Pid;

use super::holder::{RECORD_LIMIT, boot_id, pid_namespace};

/// How long helpers that may live are waited for.
pub(super) const WAITED_FOR: Duration = Duration::from_secs(1);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// A run that ended without a trace: its helpers ended with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Predecessor {
    pub(crate) pid: u32,
    /// RFC 3339.
    pub(crate) started: String,
    record: String,
}

impl Predecessor {
    /// Writes its record into the empty lock file again. Best effort.
    pub(super) fn put_back(&self, file: impl AsFd) {
        let _ = rustix::io::pwrite(&file, self.record.as_bytes(), 0);
        // For who cannot see that it is dead.
        let long_ago = Timespec { tv_sec: 0, tv_nsec: 0 };
        let _ = rustix::fs::futimens(&file, &Timestamps { last_access: long_ago, last_modification: long_ago });
    }
}

/// The line of the record that says that there are helpers, and which.
pub(crate) fn helpers_line(first: Pid) -> String {
    format!("helpers={}\n", first.as_raw_nonzero())
}

/// The helpers of a run that is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Helpers {
    Alive,
    Dead,
    /// They were in another namespace of processes (a container of its own), or on another machine.
    Unseen,
}

/// Reads the record of a file that was just locked. Waits up to 1 s for helpers that may live and have yet to say that the
/// closing line stands.
pub(super) fn without_a_trace(file: &mut File) -> Option<Predecessor> {
    let (start, mut is_disowned) = (Instant::now(), false);
    loop {
        let (predecessor, helpers) = unfinished(&read(file)?)?;
        match (helpers, start.elapsed() > WAITED_FOR) {
            // Once more: the last of them may have said it between the two looks.
            (Helpers::Dead, _) => return unfinished(&read(file)?).map(|(predecessor, _)| predecessor),
            // Late, not lost.
            (Helpers::Alive, true) => return None,
            // As a rule they ended with their container.
            (Helpers::Unseen, true) => return Some(predecessor),
            (helpers, false) => {
                // The dead run must not pass for the holder: whoever cannot see it either would believe in its sign of life.
                if helpers == Helpers::Unseen && !is_disowned {
                    // Best effort: where it cannot be done the run is told of all the same.
                    let _ = file.set_modified(SystemTime::UNIX_EPOCH);
                    is_disowned = true;
                }
                std::thread::sleep(BETWEEN_LOOKS);
            }
        }
    }
}

fn read(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(RECORD_LIMIT).read_to_string(&mut text).ok()?;
    Some(text)
}

/// A run whose closing line nobody has said to stand, and those who may write it.
fn unfinished(record: &str) -> Option<(Predecessor, Helpers)> {
    let field = |name: &str| record.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    // A helper that kept the lock for what was left of the run has written the record anew.
    let pid = field("left_of").or_else(|| field("pid"))?;
    let group = Pid::from_raw(field("helpers")?.parse().ok()?)?;
    // Of the run before that one there may be such a line too, written a moment too late.
    if record.lines().any(|line| line.strip_prefix("closed=") == Some(pid)) {
        return None;
    }
    let same_boot = field("boot")? == boot_id();
    let same_host = field("host")? == rustix::system::uname().nodename().to_string_lossy();
    let helpers = if same_boot && field("pid_namespace")? == pid_namespace() {
        let is_there = rustix::process::test_kill_process_group(group) != Err(Errno::SRCH) && has_living(group);
        if is_there { Helpers::Alive } else { Helpers::Dead }
    } else if same_host && !same_boot {
        // The machine was started anew. (Or it is another one with the same name.)
        Helpers::Dead
    } else {
        Helpers::Unseen
    };
    let (pid, started, record) = (pid.parse().ok()?, field("run_started")?.to_owned(), record.to_owned());
    Some((Predecessor { pid, started, record }, helpers))
}

/// A process group whose members may all be zombies that nobody has reaped. Where /proc does not tell, one lives.
fn has_living(group: Pid) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else { return true };
    let group = group.as_raw_nonzero().to_string();
    let is_living_member = |entry: std::fs::DirEntry| {
        let stat = std::fs::read(entry.path().join("stat")).ok()?;
        let stat = String::from_utf8_lossy(&stat).into_owned();
        // The name in parentheses may contain anything, parentheses included.
        let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
        let (state, member_of) = (fields.next()?, fields.nth(1)?);
        Some(member_of == group && !matches!(state, "Z" | "X"))
    };
    processes.flatten().filter_map(is_living_member).any(|lives| lives)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::lock::holder::read_holder;
    use crate::lock::{LockError, PipelineLock, RECORD_AWAITED};

    fn record(boot: &str, helpers: u32, more: &str) -> String {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        format!(
            "pid=7\nrun_started=2026\nhost={host}\nboot={boot}\npid_namespace={}\nhelpers={helpers}\n{more}",
            pid_namespace()
        )
    }

    /// Whoever has the lock has seen that the recorded holder is dead, and waits for that one's helpers.
    fn wait_until_disowned(path: &Path) {
        let start = Instant::now();
        while path.metadata().unwrap().modified().unwrap() != SystemTime::UNIX_EPOCH
            && start.elapsed() < 10 * WAITED_FOR
        {}
    }

    #[test]
    fn who_is_lost() {
        let lost = |record: &str| {
            unfinished(record).map(|(lost, helpers)| {
                assert_eq!((lost.pid, &*lost.started, &*lost.record), (7, "2026", record));
                helpers
            })
        };
        let (boot, nobody) = (boot_id(), 4_194_303);
        let own_group = rustix::process::getpgrp().as_raw_nonzero().get() as u32;
        assert_eq!(lost(&record(&boot, nobody, "")), Some(Helpers::Dead));
        assert_eq!(lost(&record("another", own_group, "")), Some(Helpers::Dead), "power was cut");
        assert_eq!(lost(&record(&boot, own_group, "")), Some(Helpers::Alive));
        assert_eq!(lost(&record(&boot, nobody, "closed=8\n")), Some(Helpers::Dead), "another run's");
        assert_eq!(lost(&record(&boot, nobody, "closed=7\n")), None, "its closing line stands");
        assert_eq!(lost(&record(&boot, nobody, "closed=8\nclosed=7\n")), None, "and the one before was late");
        assert_eq!(lost(&record(&boot, nobody, "").replace("helpers", "x")), None, "a lock alone");
        let kept = record(&boot, nobody, "").replace("pid=7", "pid=8\nleft_of=7");
        assert_eq!(lost(&kept), Some(Helpers::Dead), "its helper kept the lock");
        assert_eq!(lost(&(kept + "closed=7\n")), None);
        let elsewhere = record("another", nobody, "").replace("host=", "host=x");
        assert_eq!(lost(&elsewhere), Some(Helpers::Unseen), "another machine");
        let in_container = record(&boot, own_group, "").replace("pid_namespace=", "pid_namespace=x");
        assert_eq!(lost(&in_container), Some(Helpers::Unseen));
        assert_eq!(lost(""), None, "released");
    }

    #[test]
    fn a_dead_run_that_is_waited_for_does_not_pass_for_the_holder() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.lock");
        let dead = record(&boot_id(), 4_194_303, "started_us=1\nbirth=1\nprogram=x\n");
        std::fs::write(&path, dead.replace("pid_namespace=", "pid_namespace=x")).unwrap();
        let open = || File::options().read(true).write(true).open(&path).unwrap();
        let (mut file, mut locked) = (open(), open());
        assert_eq!(read_holder(&mut file).map(|holder| holder.pid), Some(7), "it may live");
        let next = std::thread::spawn(move || without_a_trace(&mut locked));
        wait_until_disowned(&path);
        assert_eq!(read_holder(&mut file), None, "it is dead");
        assert_eq!(next.join().unwrap().map(|lost| lost.pid), Some(7));
    }

    /// Who wins may have no record for as long as it waits for the dead run's helpers.
    #[test]
    fn a_loser_meanwhile_learns_who_won() {
        let learns = || {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("a.lock");
            std::fs::write(&path, record("another", 4_194_303, "").replace("host=", "host=x")).unwrap();
            let winners_path = path.clone();
            let winner = std::thread::spawn(move || (PipelineLock::acquire(winners_path), Instant::now()));
            wait_until_disowned(&path);
            let begun = Instant::now();
            let Err(LockError::Held(contention)) = PipelineLock::acquire(&path) else { panic!("it is held") };
            let (lock, won) = winner.join().unwrap();
            assert_eq!(lock.unwrap().predecessor().map(|lost| lost.pid), Some(7));
            // A winner that was kept from a processor had no record in time.
            let was_in_time = won < begun + RECORD_AWAITED;
            was_in_time.then(|| assert_eq!(contention.holder.map(|holder| holder.pid), Some(std::process::id())))
        };
        assert!((0..20).any(|_| learns().is_some()), "the winner takes too long");
    }

    /// The old record was read to its end, and the new one starts at the file's.
    #[test]
    fn the_next_run_has_a_record_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.lock");
        std::fs::write(&path, record(&boot_id(), 4_194_303, "")).unwrap();
        let lock = PipelineLock::acquire(&path).unwrap();
        assert_eq!(lock.predecessor().map(|lost| lost.pid), Some(7));
        drop(lock);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), record(&boot_id(), 4_194_303, ""), "nobody was told of it");
        let mut lock = PipelineLock::acquire(&path).unwrap();
        assert_eq!(lock.predecessor().map(|lost| lost.pid), Some(7));
        lock.forget_predecessor();
        let own = std::fs::read_to_string(&path).unwrap();
        assert!(own.starts_with(&format!("pid={}\n", std::process::id())), "{own:?}");
        let Err(LockError::Held(contention)) = PipelineLock::acquire(&path) else { panic!("it is held") };
        assert_eq!(contention.holder.map(|holder| holder.pid), Some(std::process::id()));
        drop(lock);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
    }
}
