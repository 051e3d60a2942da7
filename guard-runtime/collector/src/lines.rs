//! Line shaping: printed bytes and records in, finished lines of the log out. Pure.
//!
//! Every physical line starts with a stamp and a tag, save the further lines of a record, which start with four
//! spaces: so printed text cannot forge an entry.

use crate::ansi::{Screen, has_controls};
use crate::buffer::Buffer;
use crate::protocol::Severity;
use crate::stamp;

/// A printed line longer than this is written in pieces, so that memory stays bounded.
pub(crate) const MAX_LINE: usize = 256 * 1024;
/// `stamp [TAG  ] ` in front of a line.
pub(crate) const PREFIX: usize = stamp::LENGTH + 1 + 7 + 1;
/// In front of the further lines of a record.
pub(crate) const CONTINUATION: &[u8] = b"    ";
/// Room that a batch must have for one more line of any length.
pub const LINE_CAPACITY: usize = PREFIX + MAX_LINE + 1;

/// A tag as it stands in the brackets, padded to five.
pub(crate) type Tag = [u8; 5];

pub(crate) fn severity_tag(severity: Severity) -> &'static Tag {
    match severity {
        Severity::Error => b"ERROR",
        Severity::Warn => b"WARN ",
        Severity::Info => b"INFO ",
        Severity::Debug => b"DEBUG",
        Severity::Trace => b"TRACE",
    }
}

/// What stands in front of a line's text.
type Prefix = [u8; PREFIX];

fn prefix(stamp: &[u8; stamp::LENGTH], tag: Tag) -> Prefix {
    let mut prefix = [0; PREFIX];
    let mut room = Buffer::new(&mut prefix);
    room.extend(stamp);
    room.extend(b" [");
    room.extend(&tag);
    room.extend(b"] ");
    prefix
}

/// What stands behind the stamp and the level, where `line` of a log is the first one of a record.
pub fn record_text(line: &[u8]) -> Option<&[u8]> {
    let (prefix, text) = line.split_at_checked(PREFIX)?;
    let tag = prefix.get(stamp::LENGTH..)?.strip_prefix(b" [")?.strip_suffix(b"] ")?;
    let severities = [Severity::Error, Severity::Warn, Severity::Info, Severity::Debug, Severity::Trace];
    severities.iter().any(|severity| tag == severity_tag(*severity)).then_some(text)
}

/// Lines that wait to be written to the log.
pub struct Batch<'a>(Buffer<'a>);

impl<'a> Batch<'a> {
    /// `room` is at least [`LINE_CAPACITY`].
    pub fn new(room: &'a mut [u8]) -> Self {
        Self(Buffer::new(room))
    }

    /// One more line of any length fits.
    pub fn has_space(&self) -> bool {
        self.0.space() >= LINE_CAPACITY
    }

    /// What waits.
    pub fn lines(&self) -> &[u8] {
        &self.0
    }

    /// Leaves out what stands behind the first `length` bytes.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.0.truncate(length);
    }

    /// It was written.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    fn line(&mut self, prefix: &Prefix, text: [&[u8]; 2]) {
        self.0.extend(prefix);
        self.0.extend(text[0]);
        self.0.extend(text[1]);
        self.0.push(b'\n');
    }
}

/// Lines of what a command printed, by a process that has no collector. `room` has [`LINE_CAPACITY`] bytes; `write` takes
/// what the batch holds.
pub fn hook_lines(
    text: &[u8],
    room: &mut [u8],
    stamp: &[u8; stamp::LENGTH],
    batch: &mut Batch<'_>,
    mut write: impl FnMut(&mut Batch<'_>),
) {
    let room = room.get_mut(..MAX_LINE).unwrap_or_default();
    let mut shaper = LineShaper::new(*b"HOOK", room);
    let mut rest = text;
    while !rest.is_empty() {
        let taken = shaper.shape(rest, stamp, batch);
        rest = rest.get(taken..).unwrap_or_default();
        write(batch);
    }
    shaper.break_line(stamp, batch);
    write(batch);
}

/// Cuts one stream of printed bytes into lines.
pub(crate) struct LineShaper<'a> {
    first_tag: Tag,
    continuation_tag: Tag,
    /// The line that still waits for its newline; at most [`MAX_LINE`] bytes.
    pending: Buffer<'a>,
    screen: Screen,
    /// A piece of the pending line has been written already.
    continued: bool,
}

impl<'a> LineShaper<'a> {
    /// `name` is `OUT `, `ERR ` or `HOOK`; `room` has [`MAX_LINE`] bytes.
    pub(crate) fn new(name: [u8; 4], room: &'a mut [u8]) -> Self {
        let [a, b, c, d] = name;
        Self {
            first_tag: [a, b, c, d, b' '],
            continuation_tag: [a, b, c, d, b'+'],
            pending: Buffer::new(room),
            screen: Screen::default(),
            continued: false,
        }
    }

    /// Shapes from the front of `raw` until it is used up or the batch has no space; returns how much it took.
    pub(crate) fn shape(&mut self, raw: &[u8], stamp: &[u8; stamp::LENGTH], batch: &mut Batch<'_>) -> usize {
        // One look at all of it: most output has none, and its lines need not be looked at one by one.
        let controls = has_controls(raw);
        let mut front = prefix(stamp, self.tag());
        let mut taken = 0;
        while let Some(rest) = raw.get(taken..).filter(|rest| !rest.is_empty() && batch.has_space()) {
            let space = self.pending.space();
            // One byte more than there is space for: a line of exactly MAX_LINE bytes is whole.
            let window = start_of(rest, space + 1);
            let newline = memchr::memchr(b'\n', window);
            let mut text = start_of(window, newline.unwrap_or(space));
            taken += text.len() + usize::from(newline.is_some());
            if self.screen.is_busy() || controls && has_controls(text) {
                self.screen.draw(text, &mut self.pending, 0);
                text = b"";
            }
            if newline.is_some() || window.len() > space && self.pending.len() + text.len() == MAX_LINE {
                batch.line(&front, [&self.pending, text]);
                self.pending.clear();
                if self.continued != newline.is_none() {
                    self.continued = !self.continued;
                    front = prefix(stamp, self.tag());
                }
            } else {
                self.pending.extend(text);
            }
            if newline.is_some() {
                self.screen.end_line();
            }
        }
        taken
    }

    /// Writes what there is of a line that still waits for its newline. The batch must have space.
    pub(crate) fn break_line(&mut self, stamp: &[u8; stamp::LENGTH], batch: &mut Batch<'_>) {
        if !self.pending.is_empty() {
            batch.line(&prefix(stamp, self.tag()), [&self.pending, b""]);
            self.pending.clear();
            self.continued = true;
        }
    }

    /// Drops the pending line.
    pub(crate) fn forget(&mut self) {
        self.pending.clear();
        self.screen.end_line();
        self.continued = false;
    }

    fn tag(&self) -> Tag {
        if self.continued { self.continuation_tag } else { self.first_tag }
    }
}

/// Writes one line of a record from the front of `text` and returns how much it took, the newline included.
/// The batch must have space; a line longer than `MAX_LINE` is cut there.
pub fn record_line(
    text: &[u8],
    first: bool,
    stamp: &[u8; stamp::LENGTH],
    severity: Severity,
    batch: &mut Batch<'_>,
) -> usize {
    let window = start_of(text, MAX_LINE);
    let length = memchr::memchr(b'\n', window).unwrap_or(window.len());
    if first {
        batch.0.extend(&prefix(stamp, *severity_tag(severity)));
    } else {
        batch.0.extend(CONTINUATION);
    }
    let line = start_of(text, length);
    if has_controls(line) {
        let start = batch.0.len();
        Screen::default().draw(line, &mut batch.0, start);
    } else {
        batch.0.extend(line);
    }
    batch.0.push(b'\n');
    length + usize::from(text.get(length) == Some(&b'\n'))
}

/// The first bytes, as many as there are up to `length`.
fn start_of(bytes: &[u8], length: usize) -> &[u8] {
    bytes.get(..length).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STAMP: &[u8; stamp::LENGTH] = b"2026-02-20T01:51:45.123456Z";

    fn shaped(portions: &[&[u8]]) -> Vec<u8> {
        let (mut room, mut pending, mut all) = (vec![0; LINE_CAPACITY], vec![0; MAX_LINE], Vec::new());
        let (mut shaper, mut batch) = (LineShaper::new(*b"OUT ", &mut pending), Batch::new(&mut room));
        for portion in portions {
            let mut rest = *portion;
            while !rest.is_empty() {
                rest = &rest[shaper.shape(rest, STAMP, &mut batch)..];
                all.extend_from_slice(batch.lines());
                batch.clear();
            }
        }
        shaper.break_line(STAMP, &mut batch);
        all.extend_from_slice(batch.lines());
        all
    }

    /// The same, said slowly: split at newlines, cut what is too long.
    fn model(raw: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        let mut lines: Vec<&[u8]> = raw.split(|&b| b == b'\n').collect();
        if lines.last().is_some_and(|last| last.is_empty()) {
            lines.pop();
        }
        for line in lines {
            let pieces: Vec<&[u8]> = if line.is_empty() { vec![b""] } else { line.chunks(MAX_LINE).collect() };
            for (number, piece) in pieces.into_iter().enumerate() {
                all.extend_from_slice(STAMP);
                all.extend_from_slice(if number == 0 { b" [OUT  ] " } else { b" [OUT +] " });
                all.extend_from_slice(piece);
                all.push(b'\n');
            }
        }
        all
    }

    /// `PROPTEST_CASES` asks for more.
    fn cases() -> ProptestConfig {
        ProptestConfig::with_cases(ProptestConfig::default().cases.max(5000))
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let text = any::<u8>().prop_map(|byte| if has_controls(&[byte]) { b'?' } else { byte });
        proptest::collection::vec(prop_oneof![1 => Just(b'\n'), 3 => text], 0..400)
    }

    /// Of the kind that terminals see: sequences whole and cut short, carriage returns.
    fn terminal_bytes() -> impl Strategy<Value = Vec<u8>> {
        let pieces =
            ["\x1b[1;31m", "\x1b[2K", "\x1b[K", "\x1b]0;title\x07", "\x1b]8;;\x1b\\", "\x1b", "\x1b[3", "\r", "\n"];
        let piece = proptest::sample::select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec());
        let text = proptest::collection::vec(any::<u8>(), 0..8);
        proptest::collection::vec(prop_oneof![piece, text], 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(cases())]

        #[test]
        fn any_bytes_in_any_portions(raw in bytes(), cut in 1..50_usize) {
            let portions: Vec<&[u8]> = raw.chunks(cut).collect();
            prop_assert_eq!(shaped(&portions), model(&raw));
        }

        #[test]
        fn any_terminal_output_in_any_portions(raw in terminal_bytes(), cut in 1..20_usize) {
            let portions: Vec<&[u8]> = raw.chunks(cut).collect();
            let all = shaped(&portions);
            prop_assert_eq!(&all, &shaped(&[&raw]));
            prop_assert!(!has_controls(&all));
            // A line of the log for each that was printed, but for a last one without a newline that shows nothing.
            let newlines = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count();
            prop_assert!((newlines(&raw)..=newlines(&raw) + 1).contains(&newlines(&all)));
        }
    }

    #[test]
    fn lines_about_the_limit() {
        for length in [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 2 * MAX_LINE, 3 * MAX_LINE + 5] {
            let mut raw = vec![b'x'; length];
            raw.extend_from_slice(b"\nnext\n");
            for portion in [1000, MAX_LINE, MAX_LINE + 1, raw.len()] {
                let portions: Vec<&[u8]> = raw.chunks(portion).collect();
                assert!(shaped(&portions) == model(&raw), "{length} in portions of {portion}");
            }
        }
    }

    #[test]
    fn a_line_about_the_limit_with_controls_in_it() {
        for (before, after) in
            [(MAX_LINE - 3, 3), (MAX_LINE - 3, 4), (MAX_LINE, 1), (0, MAX_LINE), (MAX_LINE, MAX_LINE)]
        {
            let text = |size| vec![b'x'; size];
            let mut raw = [text(before), b"\x1b[32m".to_vec(), text(after)].concat();
            raw.extend_from_slice(b"\nnext\n");
            let mut plain = text(before + after);
            plain.extend_from_slice(b"\nnext\n");
            for portion in [1000, MAX_LINE, raw.len()] {
                let portions: Vec<&[u8]> = raw.chunks(portion).collect();
                assert!(shaped(&portions) == model(&plain), "{before} and {after} in portions of {portion}");
            }
        }
    }

    #[test]
    fn controls_in_a_record() {
        let mut room = vec![0; LINE_CAPACITY];
        let (mut batch, mut text, mut first) =
            (Batch::new(&mut room), &b"\x1b[1mone\x1b[m\r\n5 %\r\x1b[Ktwo"[..], true);
        while !text.is_empty() {
            let taken = record_line(text, first, STAMP, Severity::Warn, &mut batch);
            text = &text[taken..];
            first = false;
        }
        assert_eq!(batch.lines(), b"2026-02-20T01:51:45.123456Z [WARN ] one\n    two\n");
    }

    /// A sequence that is never finished, a carriage return: neither goes beyond its line.
    #[test]
    fn a_newline_ends_what_a_line_began() {
        assert_eq!(shaped(&[b"\x1b]0;title\none\x1b[3\ntwo\r\n\nthree\n"]), model(b"\none\ntwo\n\nthree\n"));
    }

    #[test]
    fn further_lines_of_a_record_are_indented() {
        let mut room = vec![0; LINE_CAPACITY];
        let (mut batch, mut text, mut first) = (Batch::new(&mut room), &b"one\ntwo\n\nfour"[..], true);
        while !text.is_empty() {
            let taken = record_line(text, first, STAMP, Severity::Warn, &mut batch);
            text = &text[taken..];
            first = false;
        }
        let expected = b"2026-02-20T01:51:45.123456Z [WARN ] one\n    two\n    \n    four\n";
        assert_eq!(batch.lines(), expected);
    }
}
