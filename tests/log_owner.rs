//! Whose the log is: files that somebody else has planted or put in its place, and who may read it.
#![allow(missing_docs)]

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use support::{COLLECTOR, TestEnv, Tmpfs, helper, is_root, kill, log_line, state, text, wait_for};

/// An ordinary user who is not the one that runs the job.
const SOMEBODY: u32 = 12_345;

fn chmod(path: impl AsRef<std::path::Path>, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn chown(path: impl AsRef<std::path::Path>) {
    std::os::unix::fs::lchown(path, Some(SOMEBODY), Some(SOMEBODY)).unwrap();
}

/// In a directory where anybody may put files, somebody puts the log's file, or a link in its place, before the run.
#[test]
fn a_planted_log() {
    if !is_root() {
        return println!("not shown: takes root to make files of another user");
    }
    for plants_link in [true, false] {
        let env = TestEnv::new();
        let victim = env.path("victim");
        fs::write(&victim, "precious\n").unwrap();
        fs::create_dir(env.path("logs")).unwrap();
        chmod(env.path("logs"), 0o1777);
        if plants_link {
            symlink(&victim, env.log()).unwrap();
        } else {
            fs::write(env.log(), "theirs\n").unwrap();
            chmod(env.log(), 0o666);
        }
        chown(env.log());
        let output = env.run(&["flood", "100000"]);
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious\n", "link {plants_link}");
        assert!(env.log().symlink_metadata().is_ok(), "not rotated away");
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(73), ""), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("run.log") && text(&output.stderr).lines().count() == 1);
    }
}

/// What somebody else has planted may also be a backup, a link on the way, or a second name of a file of root's.
#[test]
fn a_planted_backup_directory_or_hard_link() {
    if !is_root() {
        return println!("not shown: takes root to make files of another user");
    }
    for planted in ["backup", "directory", "hard link"] {
        let env = TestEnv::new();
        let victim = env.path("victim");
        fs::create_dir(&victim).unwrap();
        fs::write(env.path("victim/precious"), "precious\n").unwrap();
        if planted == "directory" {
            chmod(env.path(""), 0o1777);
            symlink(&victim, env.path("logs")).unwrap();
            chown(env.path("logs"));
        } else {
            fs::create_dir(env.path("logs")).unwrap();
            chmod(env.path("logs"), 0o1777);
        }
        if planted == "backup" {
            symlink(env.path("victim/precious"), env.path("logs/run.log.3")).unwrap();
            chown(env.path("logs/run.log.3"));
        } else if planted == "hard link" {
            fs::hard_link(env.path("victim/precious"), env.log()).unwrap();
        }
        let output = env.run(&["flood", "1000"]);
        assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(73), ""), "{planted}");
        let said = text(&output.stderr);
        assert!(said.contains("where anybody may put files") && said.lines().count() == 1, "{planted}: {said}");
        assert_eq!(fs::read_to_string(env.path("victim/precious")).unwrap(), "precious\n", "{planted}");
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 1, "{planted}");
    }
}

/// The same while the run goes on, after somebody with the right to do so has moved the log away.
#[test]
fn a_link_planted_during_the_run() {
    if !is_root() {
        return println!("not shown: takes root to make files of another user");
    }
    let env = TestEnv::new();
    fs::write(env.path("victim"), "precious\n").unwrap();
    fs::create_dir(env.path("logs")).unwrap();
    chmod(env.path("logs"), 0o1777);
    let mut child = env.subject(&["flood_on_in_one_file", "10000"]).stdout(Stdio::null()).spawn().unwrap();
    wait_for("lines", || env.log_text().contains("] line "));
    symlink(env.path("victim"), env.path("link")).unwrap();
    chown(env.path("link"));
    fs::hard_link(env.log(), env.path("moved")).unwrap();
    fs::rename(env.path("link"), env.log()).unwrap();
    env.go();
    assert_eq!(child.wait().unwrap().code(), Some(7));
    wait_for("the last line", || fs::read_to_string(env.path("moved")).unwrap().contains("] printed "));
    assert_eq!(fs::read_to_string(env.path("victim")).unwrap(), "precious\n");
}

/// A private log is private at every moment of its rotation.
#[test]
fn a_private_log_is_never_open_to_others() {
    let env = TestEnv::new();
    fs::create_dir(env.path("logs")).unwrap();
    fs::write(env.log(), "").unwrap();
    chmod(env.log(), 0o600);
    let (ends, seen) = (AtomicBool::new(false), AtomicU32::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ends.load(Ordering::Relaxed) {
                if let Ok(file) = fs::metadata(env.log()) {
                    seen.fetch_or(file.mode() & 0o077, Ordering::Relaxed);
                }
            }
        });
        env.go();
        for _ in 0..5 {
            assert!(env.subject(&["rotations", "9000"]).stdout(Stdio::null()).status().unwrap().success());
        }
        ends.store(true, Ordering::Relaxed);
    });
    assert_eq!(seen.into_inner(), 0, "others could read it");
    assert!(env.log_files().iter().all(|file| fs::metadata(file).unwrap().mode() & 0o777 == 0o600));
}

/// Whoever may read it is decided by the file as it is when it is rotated, not as it was when the run began.
#[test]
fn a_log_made_private_during_the_run() {
    let env = TestEnv::new();
    let mut child = env.subject(&["flood_on", "10000"]).stdout(Stdio::null()).spawn().unwrap();
    wait_for("lines", || env.log_text().contains("] line "));
    chmod(env.log(), 0o640);
    if is_root() {
        chown(env.log());
    }
    let before = fs::metadata(env.log()).unwrap().ino();
    wait_for("a rotation", || fs::metadata(env.log()).is_ok_and(|file| file.ino() != before && file.len() > 0));
    let after = fs::metadata(env.log()).unwrap();
    env.go();
    assert_eq!(child.wait().unwrap().code(), Some(7));
    assert_eq!(after.mode() & 0o777, 0o640);
    assert_eq!(after.uid() == SOMEBODY, is_root());
}

/// Moved to another disk, which is a copy and a removal, and a link to it left in its place: followed.
#[test]
fn a_log_replaced_by_a_link() {
    let env = TestEnv::new();
    let mut child = env.subject(&["prompt"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the first line", || env.log_text().contains("] subject::input: asked\n"));
    fs::create_dir(env.path("other")).unwrap();
    let other = env.path("other/run.log");
    fs::copy(env.log(), &other).unwrap();
    symlink(&other, env.path("link")).unwrap();
    fs::rename(env.path("link"), env.log()).unwrap();
    env.go();
    assert!(child.wait().unwrap().success());
    assert!(env.log().is_symlink(), "the link stays");
    let text = fs::read_to_string(other).unwrap();
    assert!(text.contains("] name? thank you\n") && text.lines().last().is_some_and(log_line::is_closing), "{text}");
}

/// Something in its place that is no file: written on where it was before, and told there.
#[test]
fn a_log_replaced_by_a_directory() {
    let env = TestEnv::new();
    let mut child = env.subject(&["flood_on_in_one_file", "10000"]).stdout(Stdio::null()).spawn().unwrap();
    wait_for("lines", || env.log_text().contains("] line "));
    let moved = env.path("moved");
    // Stopped: it would make a new file where the old one is gone for a moment.
    let collector = helper(child.id(), COLLECTOR);
    assert!(kill(collector, libc::SIGSTOP));
    wait_for("the stop", || state(collector) == Some('T'));
    fs::rename(env.log(), &moved).unwrap();
    fs::create_dir(env.log()).unwrap();
    assert!(kill(collector, libc::SIGCONT));
    env.go();
    assert_eq!(child.wait().unwrap().code(), Some(7));
    let text = fs::read_to_string(moved).unwrap();
    let told = |line: &str| log_line::is_ours(line) && log_line::tag(line) == "[WARN ]" && line.contains("run.log");
    assert_eq!(text.lines().filter(|line| told(line)).count(), 1, "told once");
    assert!(text.lines().last().is_some_and(log_line::is_closing));
}

/// The log's directory moved to another disk, and a link left in its place.
#[test]
#[cfg_attr(guard_portable, ignore = "the path of a directory that was moved is not told there")]
fn a_log_whose_directory_is_replaced_by_a_link() {
    let env = TestEnv::new();
    let mut child = env.subject(&["prompt"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the first line", || env.log_text().contains("] subject::input: asked\n"));
    fs::create_dir(env.path("other")).unwrap();
    fs::copy(env.log(), env.path("other/run.log")).unwrap();
    fs::remove_dir_all(env.path("logs")).unwrap();
    symlink(env.path("other"), env.path("logs")).unwrap();
    env.go();
    assert!(child.wait().unwrap().success());
    let text = fs::read_to_string(env.path("other/run.log")).unwrap();
    assert!(text.contains("] name? thank you\n") && text.lines().last().is_some_and(log_line::is_closing), "{text}");
}

/// No inode is left for a further file: the log keeps its name and grows, and says so.
#[test]
#[ignore = "needs root, to mount a tmpfs"]
fn no_inode_left_at_a_rotation() {
    let env = TestEnv::new();
    // Room for the log and a backup or two.
    let _disk = Tmpfs::mount(env.path("logs"), "nr_inodes=4");
    env.go();
    let status = env.subject(&["rotations", "3000"]).stdout(Stdio::null()).status().unwrap();
    // An attempt leaves a gap behind the log, which the next one closes.
    let files: Vec<_> = fs::read_dir(env.path("logs")).unwrap().map(|file| file.unwrap().path()).collect();
    let log: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    let ends_in_log =
        fs::read_to_string(env.log()).is_ok_and(|log| log.lines().last().is_some_and(log_line::is_closing));
    assert!(status.success());
    assert_eq!(log.matches("the log cannot be rotated (os error 28)").count(), 1, "told once");
    assert!(files.len() < 4 && ends_in_log, "{files:?}");
    assert_eq!(log.lines().filter(|line| line.contains("] line ")).count(), 3000);
}
