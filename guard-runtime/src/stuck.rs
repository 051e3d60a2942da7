//! The command of a loser that finds the holder of its lock stuck (`on_end`): once for each holder, for the next loser may
//! come in a minute.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use guard_collector::protocol::Severity;
use guard_collector::{Batch, COMMAND_TIMEOUT, LINE_CAPACITY, LogFile, Stamper, hook_lines, now};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::config::Paths;
use crate::lock::Contention;
use crate::log_open::append_line;

/// As long as the command of a run has.
const TIMEOUT: Duration = Duration::from_micros(COMMAND_TIMEOUT);
/// Between two looks whether it has ended.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// More of what it prints is not written.
const LONGEST_OUTPUT: usize = 64 * 1024;

/// Runs the command, unless one has been for this holder; what it prints, and a failure, stand in the log.
pub(crate) fn tell(command: &str, paths: &Paths, contention: &Contention, why: &str, log: &mut LogFile) {
    let Some(holder) = &contention.holder else { return };
    let id = format!("{} {}\n", holder.pid, holder.started_text());
    let marker = marker_of(&paths.lock);
    if read_marker(&marker).is_some_and(|told| told == id) {
        return;
    }
    // Where it cannot be written, being told again is better than never.
    let _ = write_marker(&marker, &id);
    let mut shell = Command::new("/bin/sh");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"GUARD_")) {
        shell.env_remove(name);
    }
    shell.args(["-c", command]).envs([
        ("GUARD_STATE", "stuck"),
        ("GUARD_DETAIL", why),
        ("GUARD_EXIT_CODE", "75"),
        ("GUARD_SIGNAL", ""),
        ("GUARD_STARTED", &holder.started_text()),
        ("GUARD_SECONDS", &format!("{:.6}", holder.age.as_secs_f64())),
        ("GUARD_PID", &holder.pid.to_string()),
        ("GUARD_LAST_SUCCESS", ""),
    ]);
    shell.env("GUARD_LOCK", &paths.lock).env("GUARD_LOG", &paths.log);
    match run(shell) {
        Ok((output, status)) => {
            append_output(log, &output);
            let failure = match status {
                Some(status) if status.success() => return,
                Some(status) => format!("guard_runtime: on_end: the command ended with {status}"),
                None => "guard_runtime: on_end: the command took longer than 30 s: killed".to_owned(),
            };
            append_line(log, Severity::Warn, &failure);
        }
        Err(error) => {
            // The next loser is to try again.
            let _ = std::fs::remove_file(&marker);
            append_line(log, Severity::Warn, &format!("guard_runtime: on_end: the command cannot be started: {error}"));
        }
    }
}

/// Beside the lock, which a loser leaves as it is.
fn marker_of(lock: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(lock.file_name().unwrap_or_default());
    name.push(".stuck");
    lock.with_file_name(name)
}

fn read_marker(path: &Path) -> Option<String> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let mut text = String::new();
    file.take(256).read_to_string(&mut text).ok()?;
    Some(text)
}

fn write_marker(path: &Path, id: &str) -> std::io::Result<()> {
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).custom_flags(flags).open(path)?.write_all(id.as_bytes())
}

/// What it printed, and how it ended; `None` where its time was over.
fn run(mut shell: Command) -> std::io::Result<(Vec<u8>, Option<ExitStatus>)> {
    let (reader, writer) = std::io::pipe()?;
    shell.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let own_session = || {
        rustix::process::setsid()?;
        Ok(())
    };
    // SAFETY: a system call alone.
    #[allow(unsafe_code)]
    unsafe {
        shell.pre_exec(own_session);
    }
    let mut child = shell.spawn()?;
    drop(shell);
    let mut reader = File::from(OwnedFd::from(reader));
    let (start, mut output) = (Instant::now(), Vec::new());
    loop {
        // Where SIGCHLD is ignored the kernel reaps it, and nobody is told how it ended.
        let ended = child.try_wait().unwrap_or_else(|_| Some(ExitStatus::default()));
        while poll(&mut [PollFd::new(&reader, PollFlags::IN)], Some(&LOOK)) == Ok(1) {
            let mut piece = [0; 4096];
            let count = reader.read(&mut piece).unwrap_or(0);
            if count == 0 {
                break;
            }
            let room = LONGEST_OUTPUT - output.len();
            output.extend_from_slice(&piece[..count.min(room)]);
            if start.elapsed() > TIMEOUT {
                break;
            }
        }
        if ended.is_some() {
            return Ok((output, ended));
        }
        if start.elapsed() > TIMEOUT {
            end(&mut child);
            return Ok((output, None));
        }
        let _ = poll(&mut [], Some(&LOOK));
    }
}

fn end(child: &mut Child) {
    if let Some(group) = rustix::process::Pid::from_raw(child.id() as i32) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.wait();
}

fn append_output(log: &mut LogFile, output: &[u8]) {
    let (mut line, mut room) = (vec![0; LINE_CAPACITY], vec![0; 2 * LINE_CAPACITY]);
    let (mut batch, mut stamper) = (Batch::new(&mut room), Stamper::default());
    hook_lines(output, &mut line, stamper.stamp(now()), &mut batch, |batch| {
        log.append(batch.lines());
        batch.clear();
    });
}
