//! The last line of a run in its log: as the run has told it, or as its end was seen.

use rustix::io::Errno;

use crate::collector::Collector;
use crate::exit_status::Ended;
use crate::protocol::Severity;
use crate::readiness;
use crate::stamp::{self, monotonic};
use crate::status::RunState;

impl Collector {
    /// Writes the closing line, behind everything the run has printed, unless a collector that is dead now has.
    pub(crate) fn write_closing_line(&mut self) {
        let Self { streams, decoder, output, .. } = self;
        streams.iter_mut().flatten().for_each(|stream| stream.end_run(decoder, output));
        self.read_closing_line();
        let (time, is_first) = self.shared.journal.closing_time(self.output.next_stamp(stamp::now()));
        let told = self.shared.told();
        let elapsed = monotonic().saturating_sub(self.started);
        let dead = self.run.as_ref().filter(|_| self.state.is_dead()).and_then(|run| run.process.as_ref());
        let timed_out = self.shared.journal.timed_out();
        let settled = self.verdict.settle(told.as_ref().map(|(_, told, _)| told), dead, elapsed, timed_out);
        let timeout = self.remains.timeout();
        match told.filter(|_| settled.was_told) {
            Some((severity, _, text)) if !timed_out => self.output.closing_line(severity, text, time, is_first),
            Some((_, _, text)) => {
                let text =
                    core::str::from_utf8(text.strip_prefix(b"guard_runtime: ").unwrap_or(text)).unwrap_or_default();
                let text = format_args!("run timed out after {timeout}: then the {text}");
                self.output.closing_note(Severity::Error, text, time, is_first);
            }
            None if timed_out => {
                let sent = self.shared.journal.stage_at_death().last_signal();
                let text = match settled.exit {
                    Ended::Unknown => format_args!("run timed out after {timeout}: ended by {sent}"),
                    Ended::Signaled { signal: libc::SIGTERM, .. } => {
                        format_args!("run timed out after {timeout}: ended by SIGTERM")
                    }
                    Ended::Signaled { signal: libc::SIGKILL, .. } => {
                        format_args!("run timed out after {timeout}: ended by SIGKILL")
                    }
                    _ => format_args!("run timed out after {timeout}: then it ended by itself, {settled}"),
                };
                self.output.closing_note(Severity::Error, text, time, is_first);
            }
            None => {
                let (seconds, millis) = (settled.elapsed.0 / 1_000_000, settled.elapsed.0 / 1_000 % 1_000);
                let is_well = settled.state == RunState::Succeeded;
                let severity = if is_well { Severity::Warn } else { Severity::Error };
                let text = format_args!("run ended without finishing after {seconds}.{millis:03}s: {settled}");
                self.output.closing_note(severity, text, time, is_first);
            }
        }
        self.output.flush_log();
    }

    /// Reads it up to its end; of a run that died in the middle of it, what there is.
    fn read_closing_line(&mut self) {
        let Some(run) = &self.run else { return };
        loop {
            let (line, is_whole) = self.shared.closing_line();
            let length = line.len();
            if is_whole || self.state.is_dead() && readiness::look_at(&run.control).is_empty() {
                return;
            }
            match rustix::io::read(&run.control, self.shared.closing.get_mut(length..).unwrap_or_default()) {
                Err(Errno::INTR) => {}
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }
}
