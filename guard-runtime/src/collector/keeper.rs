//! The keeper: a second helper that holds the same descriptors, sleeps, and takes over when the collector dies.
//!
//! The two watch each other through one pipe, the lifeline: its end of file tells the keeper, its error the collector.

use std::ffi::CStr;
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, getpid};
use rustix::time::Timespec;

use super::event_loop::{Collector, Phase};
use super::spawn::{self, Parent};
use super::stamp;
use crate::frame::Severity;

/// How long a file is held for a next rotation: no longer, or the room of one that somebody removes stays taken.
const HOLD: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };

/// What a collector tells its keeper, a byte each.
#[derive(Clone, Copy)]
pub(super) enum Message {
    /// The closing line is about to be taken out of the control pipe.
    Closing = b'c' as isize,
    /// It stands in the log.
    Closed = b'C' as isize,
    /// The log was rotated.
    Rotated = b'R' as isize,
    /// Nothing more goes to the console of standard output.
    StdoutShown = b'1' as isize,
    /// Nothing more goes to the console of standard error.
    StderrShown = b'2' as isize,
    /// All is done.
    Quit = b'Q' as isize,
}

impl Collector {
    /// Without a keeper the run is still logged; that there is none is said in the log.
    pub(super) fn fork_keeper(&mut self) {
        let collector = getpid();
        let result = pipe_with(PipeFlags::CLOEXEC).map_err(std::io::Error::from).and_then(|(reader, writer)| {
            self.lifeline = Some(writer);
            spawn::spawn(Parent::CallersParent, || self.stand_by(reader, collector))
        });
        if let Err(error) = result {
            self.lifeline = None;
            let error = error.raw_os_error().unwrap_or(0);
            let text =
                format_args!("the collector has no keeper (os error {error}): should it be killed, output is lost");
            self.output.note(Severity::Warn, stamp::now(), text);
        }
    }

    /// The keeper was killed.
    pub(super) fn replace_keeper(&mut self) {
        let text = format_args!("the collector's keeper was killed; nothing is missing, another one takes its place");
        self.output.note(Severity::Warn, stamp::now(), text);
        self.output.flush();
        self.fork_keeper();
    }

    pub(super) fn tell_keeper(&self, message: Message) {
        if let Some(lifeline) = &self.lifeline {
            let _ = rustix::io::write(lifeline, &[message as u8]);
        }
    }

    /// The keeper has time for what a rotation would otherwise wait for.
    pub(super) fn tell_keeper_of_rotation(&mut self) {
        if self.output.take_rotated()
            // A stopped keeper must not stop us when its pipe is full.
            && self.lifeline.as_ref().is_some_and(|lifeline| rustix::io::ioctl_fionread(lifeline) == Ok(0))
        {
            self.tell_keeper(Message::Rotated);
        }
    }

    fn stand_by(&mut self, lifeline: OwnedFd, collector: Pid) -> ! {
        set_name(c"guard-keeper");
        // Our copy of the collector's end, which would keep the pipe from ever ending.
        self.lifeline = None;
        self.output.release_log();
        loop {
            let patience = self.output.holds_next_removed().then_some(&HOLD);
            if poll(&mut [PollFd::new(&lifeline, PollFlags::IN)], patience) == Ok(0) {
                self.output.release_log();
                continue;
            }
            let mut byte = [0];
            match rustix::io::read(&lifeline, &mut byte) {
                Err(Errno::INTR) => {}
                Ok(0) | Err(_) => break,
                Ok(_) if byte[0] == Message::Closing as u8 => self.note_phase(Phase::Closing),
                Ok(_) if byte[0] == Message::Closed as u8 => self.note_phase(Phase::Closed),
                Ok(_) if byte[0] == Message::Rotated as u8 => self.output.hold_next_removed(),
                Ok(_) if byte[0] == Message::StdoutShown as u8 => self.output.close_console(0),
                Ok(_) if byte[0] == Message::StderrShown as u8 => self.output.close_console(1),
                Ok(_) => spawn::exit(0),
            }
        }
        drop(lifeline);
        self.take_over(collector)
    }

    fn take_over(&mut self, dead: Pid) -> ! {
        self.forget_the_unwritten();
        self.output.release_log();
        // First of all: this one may be killed too.
        self.fork_keeper();
        let dead = dead.as_raw_nonzero();
        let text = format_args!(
            "the collector (pid {dead}) was killed; its keeper took over, at most one batch is missing here, \
             and what was not yet a whole line"
        );
        self.output.note(Severity::Warn, stamp::now(), text);
        self.output.flush();
        self.run()
    }
}

/// As ps(1) and top(1) show it; at most 15 bytes (prctl(2), `PR_SET_NAME`).
pub(super) fn set_name(name: &CStr) {
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::set_name(name);
    #[cfg(not(target_os = "linux"))]
    let _ = name;
}
