//! Everything that a run and its helpers say to each other.
//!
//! Down a stream, among printed text: `log` records as frames `nonce | severity | flags | length | time | text`, at most
//! `PIPE_BUF` bytes each, because POSIX promises that a write of that size is never torn by another (pipe(7)). Whatever
//! is not a frame is printed text. A terminal may change what is written to it, so no byte of a frame is one that it
//! changes: numbers have 7 bits a byte, and [`safe_form`] says what becomes of the text.
//!
//! Down the control pipe: the closing line, as a severity's byte, what [`Told`] says of the end, the text without a NUL, and
//! [`END_OF_CLOSING_LINE`]. Its end without one says that the run has died. After the reply [`Reply::Stands`], [`UNLOCKED`], or
//! the pipe's end. Up the reply pipe: a [`Reply`] each time.

use core::fmt;

use memchr::memmem;

use crate::buffer::Buffer;
use crate::moment::Seconds;
use crate::status::RunState;
use crate::usage::Usage;

/// Frames are written whole or not at all up to this size (pipe(7), `PIPE_BUF`).
pub const MAX_FRAME: usize = rustix::pipe::PIPE_BUF;
/// Bytes in front of the text.
pub const HEADER: usize = NONCE + 1 + 1 + 2 + 8;
/// The longest text of one frame; longer records go in several.
pub const MAX_TEXT: usize = MAX_FRAME - HEADER;

/// Room for the safe form of any frame.
pub const SAFE_CAPACITY: usize = HEADER + 2 * MAX_TEXT;

const NONCE: usize = 16;
const LENGTH_AT: usize = NONCE + 2;
const FLAG_CONSOLE: u8 = 1;
const FLAG_CONTINUATION: u8 = 2;
const FLAG_MORE: u8 = 4;
const FLAG_ENDS_FAMILY: u8 = 8;

/// How grave a record is: the tag of its line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Severity {
    /// `[ERROR]`
    Error = 1,
    /// `[WARN ]`
    Warn,
    /// `[INFO ]`
    Info,
    /// `[DEBUG]`
    Debug,
    /// `[TRACE]`
    Trace,
}

impl Severity {
    /// The severity that is written as `byte`.
    pub fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Error,
            2 => Self::Warn,
            3 => Self::Info,
            4 => Self::Debug,
            5 => Self::Trace,
            _ => return None,
        })
    }
}

/// What the collector tells the run, a byte each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Reply {
    /// It holds nothing but its own: no descriptor of the run's, its copy of the lock above all, and no memory.
    Ready = b'R',
    /// Log and console have everything. A command is run before it ends, as soon as the run says that its lock is free.
    Stands = b'S',
    /// Log and console have everything, and it ends now.
    Done = b'D',
    /// The same, and it goes on for a child of the run that still holds a stream open.
    Lingers = b'L',
}

impl Reply {
    /// The reply that is written as `byte`.
    pub fn from_byte(byte: u8) -> Option<Self> {
        [Self::Ready, Self::Stands, Self::Done, Self::Lingers].into_iter().find(|reply| *reply as u8 == byte)
    }
}

/// What ends the closing line in the control pipe: a byte that occurs in no UTF-8 text.
pub const END_OF_CLOSING_LINE: u8 = 0xFF;
/// The run has released its lock. The end of the pipe would not do alone: a thread of ours in a run that is PID 1, or a child
/// that clone(2) has made behind libc's back, may have its write end open too.
pub const UNLOCKED: u8 = b'U';
/// The error in a closing line is cut there: the line then fits into the control pipe at once, and a collector that dies
/// over it leaves nobody waiting for a reader of the rest.
pub const LONGEST_ERROR: usize = 32 * 1024;
/// Room for the closing line as the run sends it.
pub const CLOSING_CAPACITY: usize = LONGEST_ERROR + 1024;

/// What a run itself says of its end, in front of the closing line's text: words with a space behind each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// How it ended.
    pub state: RunState,
    /// The code that its process ends with, where that is known.
    pub exit_code: Option<i32>,
    /// How long it took.
    pub elapsed: Seconds,
    /// What it cost.
    pub usage: Option<Usage>,
    /// Where in the text the reason starts.
    pub detail: usize,
}

impl fmt::Display for Told {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, exit_code, elapsed, usage, detail } = self;
        write!(formatter, "{} {} {} ", state.word(), elapsed.0, detail)?;
        match exit_code {
            Some(code) => write!(formatter, "{code} "),
            None => formatter.write_str("- "),
        }?;
        match usage {
            Some(Usage { processor, max_memory }) => write!(formatter, "{processor} {max_memory} "),
            None => formatter.write_str("- - "),
        }
    }
}

impl Told {
    /// Reads what stands in front of the text; the text, and the reason in it.
    pub fn parse(line: &[u8]) -> Option<(Self, &[u8], &[u8])> {
        // What is not known is `-`, which is no number.
        fn number<T: core::str::FromStr>(word: &str) -> Option<T> {
            word.parse().ok()
        }
        let mut rest = line;
        let mut next = || {
            let (word, behind) = rest.split_at_checked(memchr::memchr(b' ', rest)?)?;
            rest = behind.get(1..)?;
            core::str::from_utf8(word).ok()
        };
        let state = RunState::from_word(next()?)?;
        let (elapsed, detail) = (Seconds(next()?.parse().ok()?), next()?.parse().ok()?);
        let exit_code = number(next()?);
        let usage = match (number(next()?), number(next()?)) {
            (Some(processor), Some(max_memory)) => Some(Usage { processor, max_memory }),
            _ => None,
        };
        Some((Self { state, exit_code, elapsed, usage, detail }, rest, rest.get(detail..).unwrap_or_default()))
    }
}

/// A `log` record, or a piece of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a flag of its own on the wire")]
pub struct Record<'a> {
    /// How grave it is.
    pub severity: Severity,
    /// It goes to the console too.
    pub console: bool,
    /// It began in an earlier frame. Whole records of other threads may stand between the two.
    pub continuation: bool,
    /// It goes on in a further frame.
    pub more: bool,
    /// The run ends for what it says, and its other processes are to end with it.
    pub ends_family: bool,
    /// When it was made, microseconds since 1970.
    pub time: u64,
    /// At most [`MAX_TEXT`] bytes of it; from a terminal, of its safe form.
    pub text: &'a [u8],
}

/// Drawn anew for each run, so that no printed text can pass for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nonce([u8; NONCE]);

impl Nonce {
    /// Of 16 random bytes.
    pub fn new(mut random: [u8; NONCE]) -> Self {
        for byte in &mut random {
            *byte |= HIGH;
        }
        // 0xFF occurs in no UTF-8 text: a prompt is never held back because it might be the start of a frame.
        random[0] = 0xFF;
        Self(random)
    }
}

/// What stands in front of the record's text in its frame.
#[inline]
pub fn header(nonce: &Nonce, record: &Record<'_>) -> [u8; HEADER] {
    let Record { severity, console, continuation, more, ends_family, time, text } = *record;
    debug_assert!(text.len() <= MAX_TEXT);
    let flags = [
        (console, FLAG_CONSOLE),
        (continuation, FLAG_CONTINUATION),
        (more, FLAG_MORE),
        (ends_family, FLAG_ENDS_FAMILY),
    ];
    let flags = flags.into_iter().filter(|(set, _)| *set).fold(0, |all, (_, flag)| all | flag);
    let mut header = [0; HEADER];
    let mut room = Buffer::new(&mut header);
    room.extend(&nonce.0);
    room.extend(&[severity as u8 | HIGH, flags | HIGH]);
    room.extend(&digits::<2>(text.len() as u64));
    room.extend(&digits::<8>(time));
    header
}

/// Stands in front of a byte that was changed, and is one itself.
const ESCAPE: u8 = 0x10;
const CHANGE: u8 = 0x40;

/// The form of a frame for a terminal: without the bytes that one may change (Linux: `do_output_char`). Returns its length.
pub fn safe_form(frame: &[u8], safe: &mut [u8; SAFE_CAPACITY]) -> usize {
    let mut room = Buffer::new(safe);
    let (header, text) = frame.split_at(HEADER.min(frame.len()));
    room.extend(header);
    for &byte in text {
        if matches!(byte, b'\t' | b'\n' | b'\r' | ESCAPE) {
            room.extend(&[ESCAPE, byte ^ CHANGE]);
        } else {
            room.push(byte);
        }
    }
    let length = room.len();
    if let Some(place) = safe.get_mut(LENGTH_AT..LENGTH_AT + 2) {
        place.copy_from_slice(&digits::<2>((length - HEADER) as u64));
    }
    length
}

/// The text whose safe form this is, for as much as fits.
pub(crate) fn restore(safe: &[u8], text: &mut Buffer<'_>) {
    let mut is_changed = false;
    for &byte in safe {
        if !is_changed && byte == ESCAPE {
            is_changed = true;
        } else {
            text.push(if is_changed { byte ^ CHANGE } else { byte });
            is_changed = false;
        }
    }
}

/// Set in each byte of a number and of the nonce: a terminal changes none of these.
const HIGH: u8 = 0x80;

/// The number in 7 bits a byte, the lowest first, and the eighth set. A time in 56 bits lasts for 2,283 years.
#[inline]
fn digits<const N: usize>(number: u64) -> [u8; N] {
    core::array::from_fn(|place| (number >> (7 * place)) as u8 | HIGH)
}

fn number(digits: &[u8]) -> u64 {
    digits.iter().rev().fold(0, |number, digit| number << 7 | u64::from(digit & !HIGH))
}

/// What stands at the front of a stretch of the stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Printed text, as many bytes.
    Raw(&'a [u8]),
    /// A frame, and how many bytes of the stream it took.
    Frame(Record<'a>, usize),
    /// The start of what may be a frame: the rest is still to come.
    Incomplete,
}

/// Tells frames and printed text apart.
pub struct Decoder<'n> {
    finder: memmem::Finder<'n>,
    nonce: &'n Nonce,
}

impl<'n> Decoder<'n> {
    /// For frames with that nonce.
    pub fn new(nonce: &'n Nonce) -> Self {
        Self { finder: memmem::Finder::new(&nonce.0), nonce }
    }

    /// Looks at the front of `bytes`, which must not be empty. With `more_may_come` false nothing is `Incomplete`:
    /// a frame cut short is then printed text like any other.
    pub fn step<'a>(&self, bytes: &'a [u8], more_may_come: bool) -> Step<'a> {
        // Records often follow one another: then there is nothing to search for.
        let first = if bytes.starts_with(&self.nonce.0) { Some(0) } else { self.finder.find(bytes) };
        let raw = match first {
            Some(0) => match frame_at_front(bytes) {
                FrontFrame::Whole(record, size) => return Step::Frame(record, size),
                FrontFrame::CutShort if more_may_come => return Step::Incomplete,
                // Not one of ours after all: everything up to the next candidate is text.
                FrontFrame::CutShort | FrontFrame::Forged => match bytes.split_first() {
                    Some((_, rest)) => 1 + self.finder.find(rest).unwrap_or(rest.len()),
                    None => 0,
                },
            },
            Some(start) => start,
            None => bytes.len(),
        };
        // Only where no whole nonce follows can the text end in the start of one.
        let cut = if raw == bytes.len() && more_may_come { self.nonce_prefix_at_end(bytes) } else { 0 };
        match bytes.get(..raw - cut) {
            None | Some([]) => Step::Incomplete,
            Some(text) => Step::Raw(text),
        }
    }

    fn nonce_prefix_at_end(&self, bytes: &[u8]) -> usize {
        let longest = bytes.len().min(NONCE - 1);
        let ends_in = |length: &usize| self.nonce.0.get(..*length).is_some_and(|start| bytes.ends_with(start));
        (1..=longest).rev().find(ends_in).unwrap_or(0)
    }
}

enum FrontFrame<'a> {
    Whole(Record<'a>, usize),
    CutShort,
    Forged,
}

/// The frame that `bytes`, which starts with the nonce, starts with.
fn frame_at_front(bytes: &[u8]) -> FrontFrame<'_> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return FrontFrame::CutShort };
    let [.., severity, flags, low, high, t0, t1, t2, t3, t4, t5, t6, t7] = *header;
    let length = number(&[low, high]) as usize;
    let severity = Severity::from_byte(severity & !HIGH).filter(|_| length <= 2 * MAX_TEXT);
    let Some(severity) = severity else {
        return FrontFrame::Forged;
    };
    let Some(text) = rest.get(..length) else { return FrontFrame::CutShort };
    let record = Record {
        severity,
        console: flags & FLAG_CONSOLE != 0,
        continuation: flags & FLAG_CONTINUATION != 0,
        more: flags & FLAG_MORE != 0,
        ends_family: flags & FLAG_ENDS_FAMILY != 0,
        time: number(&[t0, t1, t2, t3, t4, t5, t6, t7]),
        text,
    };
    FrontFrame::Whole(record, HEADER + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_nonce() -> impl Strategy<Value = Nonce> {
        any::<[u8; NONCE]>().prop_map(Nonce::new)
    }

    #[derive(Clone, Debug, PartialEq)]
    enum Item {
        Raw(Vec<u8>),
        Record(u8, [bool; 4], u64, Vec<u8>),
    }

    fn encode(nonce: &Nonce, item: &Item) -> Vec<u8> {
        let record = match item {
            Item::Raw(bytes) => return bytes.clone(),
            Item::Record(severity, [console, continuation, more, ends_family], time, text) => Record {
                severity: Severity::from_byte(*severity).unwrap(),
                console: *console,
                continuation: *continuation,
                more: *more,
                ends_family: *ends_family,
                time: *time,
                text,
            },
        };
        [&header(nonce, &record), record.text].concat()
    }

    /// Feeds the bytes in the given portions and joins neighbouring text.
    fn decode(nonce: Nonce, bytes: &[u8], portions: &[usize]) -> Vec<Item> {
        let decoder = Decoder::new(&nonce);
        let (mut items, mut held, mut fed) = (Vec::new(), Vec::new(), 0);
        let mut portions = portions.iter().cycle();
        loop {
            let size = (*portions.next().unwrap()).clamp(1, bytes.len() - fed);
            held.extend_from_slice(&bytes[fed..fed + size]);
            fed += size;
            let more = fed < bytes.len();
            let mut at = 0;
            while at < held.len() {
                match decoder.step(&held[at..], more) {
                    Step::Incomplete => break,
                    Step::Raw(text) => {
                        at += text.len();
                        match items.last_mut() {
                            Some(Item::Raw(last)) => last.extend_from_slice(text),
                            _ => items.push(Item::Raw(text.to_vec())),
                        }
                    }
                    Step::Frame(Record { severity, console, continuation, more, ends_family, time, text }, size) => {
                        at += size;
                        let flags = [console, continuation, more, ends_family];
                        items.push(Item::Record(severity as u8, flags, time, text.to_vec()));
                    }
                }
            }
            held.drain(..at);
            if !more {
                assert!(held.is_empty());
                return items;
            }
        }
    }

    fn item(nonce: Nonce) -> impl Strategy<Value = Item> {
        let near_nonce = (0..NONCE).prop_map(move |n| Item::Raw(nonce.0[..n].to_vec()));
        prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..80).prop_map(Item::Raw),
            near_nonce,
            (1..=5_u8, any::<[bool; 4]>(), 0..1_u64 << 56, proptest::collection::vec(any::<u8>(), 0..200))
                .prop_map(|(s, flags, t, text)| Item::Record(s, flags, t, text)),
        ]
    }

    proptest! {
        // `PROPTEST_CASES` asks for more.
        #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2000)))]

        #[test]
        fn any_mixture_in_any_portions_comes_back(
            (nonce, items) in any_nonce().prop_flat_map(|n| (Just(n), proptest::collection::vec(item(n), 1..20))),
            portions in proptest::collection::vec(1..300_usize, 1..10),
        ) {
            let bytes: Vec<u8> = items.iter().flat_map(|i| encode(&nonce, i)).collect();
            prop_assume!(!bytes.is_empty());
            let mut joined: Vec<Item> = Vec::new();
            for item in items {
                match (joined.last_mut(), item) {
                    (_, Item::Raw(text)) if text.is_empty() => {}
                    (Some(Item::Raw(last)), Item::Raw(text)) => last.extend(text),
                    (_, item) => joined.push(item),
                }
            }
            prop_assert_eq!(decode(nonce, &bytes, &portions), joined);
        }

        #[test]
        fn a_frame_cut_anywhere_is_text(
            nonce in any_nonce(), cut in 1..60_usize, text in proptest::collection::vec(any::<u8>(), 40),
        ) {
            let whole = encode(&nonce, &Item::Record(3, [true, false, false, false], 7, text));
            prop_assert_eq!(decode(nonce, &whole[..cut], &[13]), vec![Item::Raw(whole[..cut].to_vec())]);
        }
    }

    proptest! {
        #[test]
        fn what_a_run_says_of_its_end_comes_back(
            index in 0..RunState::ALL.len(), exit_code: Option<i32>, elapsed: u64, usage: Option<(u64, u64)>,
            text: String, detail: usize,
        ) {
            let usage = usage.map(|(processor, max_memory)| Usage { processor, max_memory });
            let told = Told { state: RunState::ALL[index], exit_code, elapsed: Seconds(elapsed), usage, detail };
            let line = format!("{told}{text}");
            let reason = text.as_bytes().get(detail..).unwrap_or_default();
            prop_assert_eq!(Told::parse(line.as_bytes()), Some((told, text.as_bytes(), reason)));
        }

        #[test]
        fn any_closing_line_is_read_without_a_panic(line: Vec<u8>) {
            let _ = Told::parse(&line);
        }

        #[test]
        fn any_frame_comes_back_from_a_terminal(
            random: [u8; NONCE], severity in 1..=5_u8, flags: [bool; 4], time in 0..1_u64 << 56,
            text in proptest::collection::vec(prop_oneof![any::<u8>(), 8..18_u8], 0..=MAX_TEXT),
        ) {
            let nonce = Nonce::new(random);
            let frame = encode(&nonce, &Item::Record(severity, flags, time, text.clone()));
            let mut safe = [0; SAFE_CAPACITY];
            let length = safe_form(&frame, &mut safe);
            prop_assert!(safe[..length].iter().all(|byte| !matches!(byte, b'\t' | b'\n' | b'\r')));
            let decoder = Decoder::new(&nonce);
            let Step::Frame(record, taken) = decoder.step(&safe[..length], true) else { panic!("no frame") };
            let mut room = [0; MAX_TEXT];
            let mut restored = Buffer::new(&mut room);
            restore(record.text, &mut restored);
            prop_assert_eq!((taken, record.severity as u8, record.time), (length, severity, time));
            prop_assert_eq!([record.console, record.continuation, record.more, record.ends_family], flags);
            prop_assert_eq!(&*restored, &text[..]);
        }
    }

    #[test]
    fn an_impossible_header_behind_the_nonce_is_text() {
        let nonce = Nonce::new([7; NONCE]);
        // No such severities; more text than a frame has.
        for [kind, length] in [[9, 0], [0, 0], [3, 255]] {
            let mut bytes = nonce.0.to_vec();
            bytes.extend([kind, 0, length, length, 0, 0, 0, 0, 0, 0, 0, 0, b'x']);
            let raw = vec![Item::Raw(bytes.clone())];
            assert_eq!(decode(nonce, &bytes, &[1]), raw, "{kind}");
            let Step::Raw(_) = Decoder::new(&nonce).step(&bytes, true) else { panic!("nothing to wait for: {kind}") };
        }
    }
}
