//! The collector's loop: wait, read a batch, write it, pause for the next; and how a run's end is seen.

use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::time::Timespec;

use super::keeper::{self, Message};
use super::lines::{LineShaper, MAX_LINE};
use super::link::Answer;
use super::output::Output;
use super::stamp::{self, monotonic};
use super::{number, spawn, terminal};
use crate::frame::{Decoder, Frame, Nonce, Severity, Step};

/// Bytes read at once.
const READ_ROOM: usize = 256 * 1024;
/// Between reads while data keeps coming: batches instead of a wake-up a line.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000 };
/// Between looks at what nothing wakes us for: a terminal's new size, a console that does not move any more.
const LOOK_AGAIN: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// The closing line as the run sends it; a longer one is cut.
const CLOSING_ROOM: usize = MAX_LINE;

/// The reading end of one stream.
pub(super) struct Stream {
    /// `None` once the stream has ended. The rest stays: nothing may be freed in a helper.
    reader: Option<OwnedFd>,
    /// A pseudo-terminal; a pipe otherwise.
    is_terminal: bool,
    shaper: LineShaper,
    /// Which console its printed bytes go to.
    console: usize,
    input: Vec<u8>,
    /// Bytes at the front of `input` that may be the start of a frame.
    held: usize,
    /// A record whose further frames are still to come.
    record: Option<(Severity, bool, u64)>,
    record_text: Vec<u8>,
    /// The run's end marker was read: everything before it has been.
    ended: bool,
    /// Bytes still to be read of what was in the pipe when the run's end was seen.
    left: Option<u64>,
}

impl Stream {
    pub(super) fn new(reader: OwnedFd, name: [u8; 3], is_terminal: bool) -> Self {
        Self {
            reader: Some(reader),
            is_terminal,
            shaper: LineShaper::new(name),
            console: usize::from(name == *b"ERR"),
            input: vec![0; READ_ROOM],
            held: 0,
            record: None,
            record_text: Vec::with_capacity(MAX_LINE),
            ended: false,
            left: None,
        }
    }

    /// Drops what another collector may have written already.
    pub(super) fn forget(&mut self) {
        self.held = 0;
        self.record = None;
        self.record_text.clear();
        self.shaper.forget();
        self.left = None;
    }

    /// Nothing that the run wrote is still unread.
    fn is_drained(&self) -> bool {
        self.ended || self.left == Some(0) || self.reader.is_none()
    }

    /// Frames and printed bytes, in the order in which they were written.
    fn digest(&mut self, bytes: usize, filled: bool, decoder: &Decoder, output: &mut Output) {
        let now = stamp::now();
        let input = std::mem::take(&mut self.input);
        let unread = &input[..bytes];
        let mut at = 0;
        // Nothing but printed text, the most common case: to the console without a copy.
        let mut direct = false;
        while let Some(rest) = unread.get(at..).filter(|rest| !rest.is_empty()) {
            match decoder.step(rest, filled) {
                Step::Incomplete => break,
                Step::Raw(raw) => {
                    direct = raw.len() == bytes;
                    at += raw.len();
                    // A printed line's stamp is no later than that of the record behind it.
                    let time =
                        match unread.get(at..).filter(|rest| !rest.is_empty()).map(|rest| decoder.step(rest, filled)) {
                            Some(Step::Frame(Frame::Record { time, .. }, _)) => now.min(time),
                            _ => now,
                        };
                    output.printed(&mut self.shaper, raw, time);
                    if !direct {
                        output.show(self.console, raw);
                    }
                }
                Step::Frame(frame, size) => {
                    at += size;
                    self.frame(frame, now, output);
                }
            }
        }
        if direct {
            output.flush_with(self.console, unread);
        }
        self.held = bytes - at;
        self.input = input;
        self.input.copy_within(at..bytes, 0);
    }

    fn frame(&mut self, frame: Frame<'_>, now: u64, output: &mut Output) {
        let Frame::Record { severity, console, further, more, time, text } = frame else {
            self.ended = true;
            return;
        };
        // A header that was torn may say anything, and a stamp far ahead would stop the clock for all that follow.
        let time = time.min(now);
        if !further && !more {
            return output.record(severity, console, text, time);
        }
        // A record that begins while another is unfinished comes from another process: a forked child of the user's.
        if !further || self.record_text.len() + text.len() > MAX_LINE {
            self.finish_record(output);
        }
        self.record.get_or_insert((severity, console, time));
        self.record_text.extend_from_slice(text);
        if !more {
            self.finish_record(output);
        }
    }

    fn finish_record(&mut self, output: &mut Output) {
        if let Some((severity, console, time)) = self.record.take() {
            output.record(severity, console, &self.record_text, time);
        }
        self.record_text.clear();
    }

    /// The run has ended. It has closed its end of the stream, but a child that lives on may be in the middle of a line, for
    /// programs write to a pipe a block at a time: it goes on with that, in a piece of its own.
    fn end_run(&mut self, decoder: &Decoder, output: &mut Output) {
        match &self.reader {
            Some(reader) if !has_hung_up(reader) => output.break_line(&mut self.shaper, stamp::now()),
            _ => self.finish(decoder, output),
        }
    }

    /// Nothing more will complete what is half there.
    fn finish(&mut self, decoder: &Decoder, output: &mut Output) {
        if self.held > 0 {
            self.digest(self.held, false, decoder, output);
        }
        self.finish_record(output);
        output.finish_line(&mut self.shaper, stamp::now());
    }
}

/// What the run and its collector share about the end. Gone once the closing line is written.
struct Run {
    /// The closing line comes through here; its end of file says that the run has written its last.
    control: OwnedFd,
    acknowledge: OwnedFd,
    /// Tells of the run's death, where the kernel can.
    pidfd: Option<OwnedFd>,
    /// The run's code has closed our end of it.
    control_is_lost: bool,
    is_dead: bool,
    phase: Phase,
}

/// How far the run's end has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// The closing line may have been taken out of the pipe, by a collector that is dead now.
    Closing,
    /// It stands in the log: what is left is the console, and the answer.
    Closed,
}

/// Everything a helper process owns, made before the fork.
pub(super) struct Collector {
    pub(super) streams: [Option<Stream>; 2],
    pub(super) output: Output,
    decoder: Decoder,
    run: Option<Run>,
    started: u64,
    closing: Vec<u8>,
    /// The keeper lives as long as somebody reads the other end.
    pub(super) lifeline: Option<OwnedFd>,
}

struct Ready {
    control: PollFlags,
    run_is_dead: bool,
    keeper_is_gone: bool,
    streams: [bool; 2],
}

impl Collector {
    pub(super) fn new(
        streams: [Option<Stream>; 2],
        output: Output,
        nonce: Nonce,
        control: OwnedFd,
        acknowledge: OwnedFd,
        pidfd: Option<OwnedFd>,
    ) -> Self {
        Self {
            streams,
            output,
            decoder: Decoder::new(nonce),
            run: Some(Run { control, acknowledge, pidfd, control_is_lost: false, is_dead: false, phase: Phase::Open }),
            started: monotonic(),
            closing: vec![0; CLOSING_ROOM],
            lifeline: None,
        }
    }

    /// The first helper's life.
    pub(super) fn start(mut self) -> ! {
        self.close_foreign_descriptors();
        // Before the answer: from then on a signal to the run's process group must not meet us.
        let _ = rustix::process::setsid();
        self.answer(Answer::Ready);
        self.fork_keeper();
        self.run()
    }

    fn close_foreign_descriptors(&self) {
        let mut keep = [-1; 16];
        let run = self.run.as_ref();
        let own = [
            self.reader(0),
            self.reader(1),
            run.map(|run| &run.control),
            run.map(|run| &run.acknowledge),
            run.and_then(|run| run.pidfd.as_ref()),
        ];
        let all = own.into_iter().flatten().map(number).chain(self.output.descriptors());
        for (slot, descriptor) in keep.iter_mut().zip(all) {
            *slot = descriptor;
        }
        spawn::close_all_but(&mut keep);
    }

    pub(super) fn run(&mut self) -> ! {
        keeper::set_name(c"guard-collector");
        loop {
            // Looked at before the wait: a keeper that took over may find that nothing is left but to answer.
            let is_closed = |run: &Run| run.phase == Phase::Closed && (run.is_dead || !self.output.owes_the_run());
            if self.run.as_ref().is_some_and(is_closed) {
                self.let_go_of_run();
            }
            if self.run.is_none() {
                self.close_idle_consoles();
            }
            // Of the console as it is now: it may have caught up a moment ago, and then nothing would end the wait.
            if self.run.is_none() && self.all_streams_ended() && self.console_is_done() {
                self.tell_keeper(Message::Quit);
                spawn::exit(0);
            }
            let ready = self.wait();
            self.follow_resizes();
            if ready.keeper_is_gone {
                self.replace_keeper();
            }
            if let Some(run) = &mut self.run {
                run.is_dead |= ready.run_is_dead;
            }
            let ends = (!ready.control.is_empty() && !self.control_was_lost(&ready)) || ready.run_is_dead;
            if ends {
                self.measure_what_is_left();
            }
            let (mut read, mut filled) = (false, false);
            for index in 0..2 {
                if ready.streams[index] || ends && self.has_terminal(index) {
                    read = true;
                    filled |= self.read(index);
                }
            }
            self.output.flush();
            self.tell_keeper_of_rotation();
            if ends && self.streams.iter().flatten().all(Stream::is_drained) {
                self.write_closing_line();
            }
            if read && !filled && !ends {
                self.pause();
            }
        }
    }

    /// Waits for anything to happen.
    fn wait(&self) -> Ready {
        let (input, nothing) = (PollFlags::IN, PollFlags::empty());
        // Once the closing line is written, only the console is waited for.
        let run = self.run.as_ref().filter(|run| run.phase != Phase::Closed);
        // A console that is far behind slows the run down; a dead run's last words go into the log all the same.
        let reads = !self.output.is_backed_up() || run.is_some_and(|run| run.is_dead);
        let stream = |index| self.reader(index).filter(|_| reads);
        let [stdout, stderr] = self.output.stalled();
        // The run first: what it wrote before it ended is then seen when its streams are looked at, later in this call.
        let watched = [
            (run.filter(|run| reads && !run.control_is_lost).map(|run| &run.control), input),
            (run.and_then(|run| run.pidfd.as_ref()), input),
            (self.lifeline.as_ref(), nothing),
            (stream(0), input),
            (stream(1), input),
            (stdout, PollFlags::OUT),
            (stderr, PollFlags::OUT),
        ];
        // A directory is never ready for nothing: it stands in for what is not there.
        let mut polled = watched.map(|(descriptor, flags)| match descriptor {
            Some(descriptor) => PollFd::new(descriptor, flags),
            None => PollFd::new(self.output.log_directory(), nothing),
        });
        let asks_for_size = self.run.is_some() && (self.has_terminal(0) || self.has_terminal(1));
        while poll(&mut polled, (asks_for_size || !reads).then_some(&LOOK_AGAIN)) == Err(Errno::INTR) {}
        let [control, pidfd, keeper, stdout, stderr, ..] = polled.map(|polled| polled.revents());
        // A run whose console stalls is not to be asked to end, but it may be dead.
        let is_dead = |run: &Run| !reads && run.pidfd.is_none() && has_hung_up(&run.control);
        Ready {
            control,
            run_is_dead: !pidfd.is_empty() || run.is_some_and(is_dead),
            keeper_is_gone: !keeper.is_empty(),
            streams: [!stdout.is_empty(), !stderr.is_empty()],
        }
    }

    /// Lets data gather, unless the run ends meanwhile.
    fn pause(&self) {
        let _ = match &self.run {
            Some(run) if !run.control_is_lost => poll(&mut [PollFd::new(&run.control, PollFlags::IN)], Some(&PAUSE)),
            _ => poll(&mut [], Some(&PAUSE)),
        };
    }

    /// Reads one batch of a stream and digests it; says whether there was more than was read at once.
    fn read(&mut self, index: usize) -> bool {
        let Some(stream) = &mut self.streams[index] else { return false };
        let Some(reader) = &stream.reader else { return false };
        let mut end = stream.held;
        let mut hung_up = false;
        // A pipe gives at once what it has; a terminal gives a page at a time.
        let outcome = loop {
            match rustix::io::read(reader, &mut stream.input[end..]) {
                Ok(0) => break Err(Errno::IO),
                Ok(count) => end += count,
                Err(Errno::INTR) => continue,
                // The kernel looks for input first and for the hang-up then: some may have come in between.
                Err(Errno::IO) if stream.is_terminal && !std::mem::replace(&mut hung_up, true) => continue,
                Err(error) => break Err(error),
            }
            if !stream.is_terminal || end == READ_ROOM {
                break Ok(());
            }
        };
        let (count, filled) = (end - stream.held, end == READ_ROOM);
        stream.left = stream.left.map(|left| left.saturating_sub(count as u64));
        if count > 0 {
            // A read that did not fill its room emptied the pipe, and frames come whole: none is cut at its end. On a
            // terminal one may be.
            stream.digest(end, filled || stream.is_terminal, &self.decoder, &mut self.output);
        }
        match outcome {
            Ok(()) => {}
            // Nothing is on its way either: the kernel looks there before it says so (n_tty_read).
            Err(Errno::AGAIN) => stream.left = stream.left.map(|_| 0),
            Err(_) => {
                stream.reader = None;
                stream.finish(&self.decoder, &mut self.output);
            }
        }
        filled
    }

    fn has_terminal(&self, index: usize) -> bool {
        self.streams[index].as_ref().is_some_and(|stream| stream.is_terminal && stream.reader.is_some())
    }

    /// The program has heard of the change already, and asked too early perhaps: it is told again.
    fn follow_resizes(&self) {
        for stream in self.streams.iter().flatten().filter(|stream| stream.is_terminal) {
            if let (Some(real), Some(ours)) = (self.output.console(stream.console), &stream.reader)
                && terminal::follow_resize(real, ours)
                && let Some(pidfd) = self.run.as_ref().and_then(|run| run.pidfd.as_ref())
            {
                #[cfg(target_os = "linux")]
                let _ = rustix::process::pidfd_send_signal(pidfd, rustix::process::Signal::WINCH);
                #[cfg(not(target_os = "linux"))]
                let _ = pidfd;
            }
        }
    }

    /// The run has written its last: whatever the pipes hold now contains the rest of it. A child of the run that
    /// prints without end cannot put the end off.
    fn measure_what_is_left(&mut self) {
        for stream in self.streams.iter_mut().flatten() {
            if let (None, Some(reader)) = (stream.left, &stream.reader) {
                let unread = rustix::io::ioctl_fionread(reader).unwrap_or(0);
                // Of a terminal, that is not all: some is on its way.
                stream.left = Some(if stream.is_terminal { terminal::ROOM } else { unread });
            }
        }
    }

    /// Has the run closed its control pipe without a word and lives on? Then its code closed descriptors that it does
    /// not know, and only its death will tell of the end.
    fn control_was_lost(&mut self, ready: &Ready) -> bool {
        let Some(run) = &mut self.run else { return false };
        let closed_in_silence = ready.control.contains(PollFlags::HUP) && !ready.control.contains(PollFlags::IN);
        run.control_is_lost |=
            closed_in_silence && run.pidfd.is_some() && !ready.run_is_dead && run.phase == Phase::Open;
        run.control_is_lost
    }

    /// Writes the closing line, behind everything the run has printed.
    fn write_closing_line(&mut self) {
        // Said before the closing line is taken out of the pipe, where a successor will not find it.
        self.tell_keeper(Message::Closing);
        for stream in self.streams.iter_mut().flatten() {
            stream.end_run(&self.decoder, &mut self.output);
        }
        let Some(run) = &mut self.run else { return };
        let has_had_it = std::mem::replace(&mut run.phase, Phase::Closed) == Phase::Closing;
        let length = read_closing_line(&run.control, &mut self.closing, run.is_dead);
        match self.closing[..length].split_first() {
            Some((&severity, text)) => {
                let severity = Severity::from_byte(severity).unwrap_or(Severity::Error);
                self.output.record(severity, false, text, stamp::now());
            }
            None if has_had_it && !run.is_dead => {
                let text = format_args!("run ended; how is not known, for the collector that was told was killed");
                self.output.note(Severity::Warn, stamp::now(), text);
            }
            None => {
                let micros = monotonic().saturating_sub(self.started);
                let (seconds, millis) = (micros / 1_000_000, micros / 1_000 % 1_000);
                let text = format_args!("run ended without finishing after {seconds}.{millis:03}s: killed or aborted");
                self.output.note(Severity::Error, stamp::now(), text);
            }
        }
        // Said before the console, which may take its time, is looked at: a successor must not write a second one.
        self.output.flush_log();
        self.tell_keeper(Message::Closed);
        self.output.flush();
        self.output.owe_what_waits();
    }

    /// Log and console have it all, or nobody is left to wait for the console: answers.
    fn let_go_of_run(&mut self) {
        self.drop_ended_streams();
        if self.all_streams_ended() {
            if self.console_is_done() {
                // Its end overlaps with ours.
                self.tell_keeper(Message::Quit);
            }
            self.answer(Answer::Done);
        } else {
            self.answer(Answer::Lingers);
        }
        self.run = None;
    }

    fn console_is_done(&self) -> bool {
        self.output.stalled().iter().all(Option::is_none)
    }

    fn answer(&self, answer: Answer) {
        if let Some(run) = &self.run {
            let _ = rustix::io::write(&run.acknowledge, &[answer as u8]);
        }
    }

    fn drop_ended_streams(&mut self) {
        for index in 0..2 {
            if self.reader(index).is_some_and(has_hung_up) {
                // There may be a last word all the same: it came between the kernel's looks for input and for writers.
                self.read(index);
            }
        }
        self.output.flush();
    }

    /// Whoever reads what the run printed is to see its end, whatever a child of the run does with the other stream. (Records
    /// that a forked child logs after that are in the log alone.)
    fn close_idle_consoles(&mut self) {
        for (console, message) in [Message::StdoutShown, Message::StderrShown].into_iter().enumerate() {
            let feeds = |stream: &Stream| stream.reader.is_some() && self.output.console_of(stream.console) == console;
            if self.output.is_idle(console) && !self.streams.iter().flatten().any(feeds) {
                self.output.close_console(console);
                self.tell_keeper(message);
            }
        }
    }

    fn reader(&self, index: usize) -> Option<&OwnedFd> {
        self.streams[index].as_ref()?.reader.as_ref()
    }

    fn all_streams_ended(&self) -> bool {
        self.streams.iter().flatten().all(|stream| stream.reader.is_none())
    }

    /// In a keeper: forgets what the dead collector may have written already.
    pub(super) fn forget_the_unwritten(&mut self) {
        for stream in self.streams.iter_mut().flatten() {
            stream.forget();
        }
        self.output.forget_the_unwritten();
    }

    /// In a keeper: how far the collector has come. In the phase `Closed` the answer may not have been given; a second
    /// one harms nobody.
    pub(super) fn note_phase(&mut self, phase: Phase) {
        if let Some(run) = &mut self.run {
            run.phase = phase;
        }
    }
}

/// Nobody can write to it any more, and everything that was has been read.
fn has_hung_up(reader: &OwnedFd) -> bool {
    look_at(reader) == PollFlags::HUP
}

/// What a wait for input would end with at once.
fn look_at(reader: &OwnedFd) -> PollFlags {
    let mut polled = [PollFd::new(reader, PollFlags::IN)];
    let _ = poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 }));
    polled[0].revents()
}

/// Reads up to the NUL that ends the line; of a run that died in the middle of it, what there is.
fn read_closing_line(control: &OwnedFd, buffer: &mut [u8], is_dead: bool) -> usize {
    let mut length = 0;
    while length < buffer.len() {
        if is_dead && look_at(control).is_empty() {
            break;
        }
        match rustix::io::read(control, &mut buffer[length..]) {
            Err(Errno::INTR) => {}
            Ok(0) | Err(_) => break,
            Ok(count) => {
                if let Some(end) = memchr::memchr(0, &buffer[length..length + count]) {
                    return length + end;
                }
                length += count;
            }
        }
    }
    length
}
