//! The lock by itself, and runs that do not get it.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use guard_runtime::{LockError, PipelineLock, locked_pipeline};

use crate::support::{
    LOCK, LOG, SIGNALS, close_all_from_three, directory, fork_child, start_signal_storm, wait_for_go, wait_for_stdin,
};

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn forked_child_hold() {
    fork_child(|| {
        println!("from the child");
        wait_for_go();
        0
    });
    wait_for_stdin();
}

/// The device and inode of the lock file that this process has open.
fn locked_inode(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    for entry in std::fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let Ok(target) = std::fs::read_link(entry.path()) else { continue };
        // A file that was removed or renamed since is shown under its other name.
        let target = target.to_string_lossy();
        if target.contains(&*path.file_name().unwrap().to_string_lossy()) || target.contains("/aside") {
            let file = std::fs::metadata(entry.path()).unwrap();
            return format!("{}:{}", file.dev(), file.ino());
        }
    }
    panic!("the lock file is not open");
}

/// Takes the lock, holds it for a moment, lets go, for so many milliseconds; a witness of its own checks each section.
/// Prints: sections, overlaps on one and the same file, overlaps after the holder's file was taken away.
pub(crate) fn race(milliseconds: u64) {
    let directory = directory();
    let (lock_path, witness) = (directory.join("race.lock"), directory.join("witness"));
    let (mut sections, mut overlaps, mut after_removal) = (0, 0, 0);
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(milliseconds) {
        let lock = match PipelineLock::acquire(&lock_path) {
            Ok(lock) => lock,
            Err(LockError::Held(_)) => continue,
            Err(error) => {
                // So fast a remover can win every one of the bounded rounds; that is an error, not a lock.
                assert!(error.to_string().contains("replaced each time"), "{error}");
                continue;
            }
        };
        let ours = locked_inode(&lock_path);
        match std::fs::File::create_new(&witness) {
            Ok(mut file) => {
                sections += 1;
                file.write_all(ours.as_bytes()).unwrap();
                std::thread::sleep(Duration::from_micros(50));
                std::fs::remove_file(&witness).unwrap();
            }
            Err(_) => match std::fs::read_to_string(&witness) {
                Ok(theirs) if theirs == ours => overlaps += 1,
                _ => after_removal += 1,
            },
        }
        drop(lock);
    }
    println!("{sections} {overlaps} {after_removal}");
}

/// While the lock is taken, waited for, held.
pub(crate) fn signal_storm() {
    start_signal_storm();
    let path = directory().join("storm.lock");
    let start = Instant::now();
    let mut rounds = 0;
    while start.elapsed() < Duration::from_secs(2) {
        let lock = PipelineLock::acquire(&path).expect("it is free");
        let held = PipelineLock::acquire(&path);
        assert!(matches!(held, Err(LockError::Held(_))), "{held:?}");
        drop(lock);
        rounds += 1;
    }
    let _lock = PipelineLock::acquire(&path).expect("it is free");
    let start = Instant::now();
    let waited = PipelineLock::acquire_within(&path, Duration::from_millis(700), |_| {});
    assert!(matches!(waited, Err(LockError::Held(_))), "{waited:?}");
    let elapsed = start.elapsed();
    assert!((700..1500).contains(&elapsed.as_millis()), "{elapsed:?}");
    println!("{rounds} rounds, {} signals", SIGNALS.load(Ordering::Relaxed));
}

#[locked_pipeline(lock = LOCK, log = LOG, conflict_exit_code = 42)]
pub(crate) fn strict() -> ExitCode {
    println!("ran");
    ExitCode::SUCCESS
}

/// `PipelineLock` by itself, in a process whose forked child lives on.
pub(crate) fn lock_only() {
    let path = directory();
    let mut lock = Some(PipelineLock::acquire(path.join("only.lock")).unwrap());
    fork_child(|| {
        // The child's copy is not the child's lock.
        drop(lock.take());
        std::fs::write(path.join("forked"), "").unwrap();
        wait_for_go();
        0
    });
    wait_for_stdin();
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn eat_memory() {
    println!("eating");
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![1_u8; 1 << 20]);
    }
}

/// Closes what it does not know, and takes the run's own lock once more: two runs, where that works.
#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn acquire_after_close_from() {
    println!("before");
    close_all_from_three();
    let second = PipelineLock::acquire(directory().join("locks/run.lock"));
    println!("{}", if matches!(second, Err(LockError::Held(_))) { "refused" } else { "two runs" });
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn hold_after_close_from() {
    close_all_from_three();
    println!("held");
    wait_for_stdin();
}

/// As a daemon does it: the child takes the lock anew and drops its copy of the parent's.
pub(crate) fn acquire_in_the_daemon() {
    let path = directory().join("only.lock");
    let mut lock = PipelineLock::acquire(&path).unwrap();
    // SAFETY: the process has one thread.
    unsafe {
        assert_eq!(libc::daemon(1, 1), 0);
    }
    crate::allocator::allow_this_process();
    // The parent's is free once that has ended.
    while let Err(error) = PipelineLock::acquire(&path).map(|ours| lock = ours) {
        assert!(matches!(error, LockError::Held(_)), "{error}");
        std::thread::sleep(Duration::from_millis(5));
    }
    std::fs::write(directory().join("taken"), lock.path().to_string_lossy().as_bytes()).unwrap();
    wait_for_go();
    drop(lock);
}
