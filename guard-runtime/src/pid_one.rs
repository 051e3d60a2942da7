//! The end of a run that is PID 1, as in most containers.
//!
//! The kernel keeps from it every signal that it has no handler for and that is sent from inside its namespace, SIGKILL
//! included. So a thread of ours waits for the collector's word: it takes the streams away from the other threads, waits until
//! the log has everything and the command has been run, and ends the process. With it all other processes of the namespace
//! end, the helpers too.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use guard_collector::protocol::{END_OF_CLOSING_LINE, Reply, UNLOCKED};
use guard_collector::{Blocked, COMMAND_TIMEOUT, CONSOLE_TIMEOUT, sys};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::descriptor::Descriptor;

/// What a shell says of a process that SIGKILL ended.
const KILLED: i32 = 128 + 9;
/// Longer than the collector waits for a console that takes nothing.
const LONGEST_WAIT: Timespec = seconds_more(CONSOLE_TIMEOUT, 2);
/// Longer than a command may take.
const LONGEST_COMMAND: Timespec = seconds_more(COMMAND_TIMEOUT, 10);

const fn seconds_more(micros: u64, seconds: i64) -> Timespec {
    Timespec { tv_sec: (micros / 1_000_000) as i64 + seconds, tv_nsec: 0 }
}

/// Waits for a byte of `request` in a thread of its own, which ends where that ends.
///
/// # Errors
/// Where no thread can be had: such a run could not be ended.
pub(crate) fn wait_for_request(request: OwnedFd, control: OwnedFd, replies: OwnedFd) -> io::Result<()> {
    let null = Descriptor::new(null()?.into());
    let [request, replies] = [request, replies].map(Descriptor::new);
    let control = Descriptor::not_for_children(control);
    let end = move || {
        // Code that closes every descriptor that it does not know does not end this read.
        if read(&request).is_none() {
            return;
        }
        if null.is_ours() {
            lead_streams_to(&null);
        } else if let Ok(null) = self::null() {
            lead_streams_to(null);
        }
        // A closing line without text: how the run ended the collector knows.
        let (mut said, mut longest) = (END_OF_CLOSING_LINE, LONGEST_WAIT);
        while control.is_ours() && replies.is_ours() && rustix::io::write(&control, &[said]).is_ok() {
            let has_replied = poll(&mut [PollFd::new(&replies, PollFlags::IN)], Some(&longest)) == Ok(1);
            if !has_replied || read(&replies) != Some(Reply::Stands as u8) {
                break;
            }
            // A command is to be run, which dies with this process as all others do. The lock is free after that: the run lives.
            (said, longest) = (UNLOCKED, LONGEST_COMMAND);
        }
        sys::exit(KILLED)
    };
    // Inherited by the thread: no handler of the user's runs in it.
    let _blocked = Blocked::all();
    std::thread::Builder::new().name("guard-pid-1".into()).stack_size(64 * 1024).spawn(end).map(drop)
}

fn null() -> io::Result<File> {
    File::options().write(true).open("/dev/null")
}

fn lead_streams_to(null: impl AsFd) {
    let _ = rustix::stdio::dup2_stdout(&null);
    let _ = rustix::stdio::dup2_stderr(&null);
}

fn read(descriptor: &Descriptor) -> Option<u8> {
    let mut byte = [0];
    (rustix::io::read(descriptor, &mut byte) == Ok(1)).then_some(byte[0])
}
