//! The wire format: how a `log` record travels down a stream of printed text. Both directions; pure.
//!
//! A frame is `nonce | kind | flags | length | time | text`, at most `PIPE_BUF` bytes, because POSIX promises that
//! a write of that size is never torn by another (pipe(7)). Whatever is not a frame is printed text.

use memchr::memmem;

/// Frames are written whole or not at all up to this size (pipe(7), `PIPE_BUF`).
pub(crate) const MAX_FRAME: usize = rustix::pipe::PIPE_BUF;
/// Bytes in front of the text.
pub(crate) const HEADER: usize = NONCE + 1 + 1 + 2 + 8;
/// The longest text of one frame; longer records go in several.
pub(crate) const MAX_TEXT: usize = MAX_FRAME - HEADER;

const NONCE: usize = 16;
const FLAG_CONSOLE: u8 = 1;
const FLAG_FURTHER: u8 = 2;
const FLAG_MORE: u8 = 4;

/// How grave a record is: the tag of its line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Severity {
    Error = 1,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Severity {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
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

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A `log` record, or a piece of one.
    Record {
        severity: Severity,
        /// Goes to the console too.
        console: bool,
        /// The record began in an earlier frame. Whole records of other threads may stand between the two.
        further: bool,
        /// The record goes on in a further frame.
        more: bool,
        /// When it was made, microseconds since 1970.
        time: u64,
        text: &'a [u8],
    },
    /// The run has written its last byte into this stream.
    End,
}

/// Drawn anew for each run, so that no printed text can pass for a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nonce([u8; NONCE]);

impl Nonce {
    pub(crate) fn draw() -> Self {
        use std::hash::{BuildHasher, RandomState};
        // `RandomState` is keyed by the system's randomness; two hashers make 16 bytes without a further dependency.
        let mut nonce = [0; NONCE];
        for (half, word) in nonce.chunks_exact_mut(8).zip(0_u64..) {
            half.copy_from_slice(&RandomState::new().hash_one(word).to_ne_bytes());
        }
        // 0xFF occurs in no UTF-8 text: a prompt is never held back because it might be the start of a frame.
        nonce[0] = 0xFF;
        Self(nonce)
    }
}

/// Writes the frame's header into the first [`HEADER`] bytes of `buffer`; the caller puts the text behind it.
pub(crate) fn write_header(buffer: &mut [u8], nonce: &Nonce, frame: &Frame<'_>) {
    let (kind, flags, time, length) = match *frame {
        Frame::End => (0, 0, 0, 0),
        Frame::Record { severity, console, further, more, time, text } => {
            let flags = [(console, FLAG_CONSOLE), (further, FLAG_FURTHER), (more, FLAG_MORE)];
            let flags = flags.into_iter().filter(|(set, _)| *set).fold(0, |all, (_, flag)| all | flag);
            (severity as u8, flags, time, text.len())
        }
    };
    debug_assert!(length <= MAX_TEXT);
    buffer[..NONCE].copy_from_slice(&nonce.0);
    buffer[16] = kind;
    buffer[17] = flags;
    buffer[18..20].copy_from_slice(&(length as u16).to_le_bytes());
    buffer[20..HEADER].copy_from_slice(&time.to_le_bytes());
}

/// What stands at the front of a stretch of the stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// Printed text, as many bytes.
    Raw(&'a [u8]),
    /// A frame, and how many bytes of the stream it took.
    Frame(Frame<'a>, usize),
    /// The start of what may be a frame: the rest is still to come.
    Incomplete,
}

/// Tells frames and printed text apart.
pub(crate) struct Decoder {
    finder: memmem::Finder<'static>,
    nonce: Nonce,
}

impl Decoder {
    pub(crate) fn new(nonce: Nonce) -> Self {
        Self { finder: memmem::Finder::new(&nonce.0).into_owned(), nonce }
    }

    /// Looks at the front of `bytes`, which must not be empty. With `more_may_come` false nothing is `Incomplete`:
    /// a frame cut short is then printed text like any other.
    pub(crate) fn step<'a>(&self, bytes: &'a [u8], more_may_come: bool) -> Step<'a> {
        // Records often follow one another: then there is nothing to search for.
        let first = if bytes.starts_with(&self.nonce.0) { Some(0) } else { self.finder.find(bytes) };
        let raw = match first {
            Some(0) => match Self::frame_at_front(bytes) {
                FrontFrame::Whole(frame, size) => return Step::Frame(frame, size),
                FrontFrame::CutShort if more_may_come => return Step::Incomplete,
                // Not one of ours after all: everything up to the next candidate is text.
                FrontFrame::CutShort | FrontFrame::Forged => {
                    1 + self.finder.find(&bytes[1..]).unwrap_or(bytes.len() - 1)
                }
            },
            Some(start) => start,
            None => bytes.len(),
        };
        // Only where no whole nonce follows can the text end in the start of one.
        if raw == bytes.len() && more_may_come {
            match raw - self.nonce_prefix_at_end(bytes) {
                0 => Step::Incomplete,
                text => Step::Raw(&bytes[..text]),
            }
        } else {
            Step::Raw(&bytes[..raw])
        }
    }

    fn frame_at_front(bytes: &[u8]) -> FrontFrame<'_> {
        let Some((header, rest)) = bytes.split_at_checked(HEADER) else { return FrontFrame::CutShort };
        let length = usize::from(u16::from_le_bytes([header[18], header[19]]));
        let frame = match Severity::from_byte(header[16]) {
            None if header[16] == 0 && length == 0 => Frame::End,
            Some(severity) if length <= MAX_TEXT => {
                let Some(text) = rest.get(..length) else { return FrontFrame::CutShort };
                Frame::Record {
                    severity,
                    console: header[17] & FLAG_CONSOLE != 0,
                    further: header[17] & FLAG_FURTHER != 0,
                    more: header[17] & FLAG_MORE != 0,
                    time: u64::from_le_bytes(header[20..HEADER].try_into().unwrap_or_default()),
                    text,
                }
            }
            _ => return FrontFrame::Forged,
        };
        FrontFrame::Whole(frame, HEADER + length)
    }

    fn nonce_prefix_at_end(&self, bytes: &[u8]) -> usize {
        let longest = bytes.len().min(NONCE - 1);
        (1..=longest).rev().find(|&n| bytes.ends_with(&self.nonce.0[..n])).unwrap_or(0)
    }
}

enum FrontFrame<'a> {
    Whole(Frame<'a>, usize),
    CutShort,
    Forged,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug, PartialEq)]
    enum Item {
        Raw(Vec<u8>),
        Record(u8, [bool; 3], u64, Vec<u8>),
        End,
    }

    fn encode(nonce: &Nonce, item: &Item) -> Vec<u8> {
        let frame = match item {
            Item::Raw(bytes) => return bytes.clone(),
            Item::End => Frame::End,
            Item::Record(severity, [console, further, more], time, text) => Frame::Record {
                severity: Severity::from_byte(*severity).unwrap(),
                console: *console,
                further: *further,
                more: *more,
                time: *time,
                text,
            },
        };
        let mut bytes = vec![0; HEADER];
        write_header(&mut bytes, nonce, &frame);
        if let Frame::Record { text, .. } = frame {
            bytes.extend_from_slice(text);
        }
        bytes
    }

    /// Feeds the bytes in the given portions and joins neighbouring text.
    fn decode(nonce: Nonce, bytes: &[u8], portions: &[usize]) -> Vec<Item> {
        let decoder = Decoder::new(nonce);
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
                    Step::Frame(Frame::End, size) => {
                        at += size;
                        items.push(Item::End);
                    }
                    Step::Frame(Frame::Record { severity, console, further, more, time, text }, size) => {
                        at += size;
                        items.push(Item::Record(severity as u8, [console, further, more], time, text.to_vec()));
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
            (1..=5_u8, any::<[bool; 3]>(), any::<u64>(), proptest::collection::vec(any::<u8>(), 0..200))
                .prop_map(|(s, flags, t, text)| Item::Record(s, flags, t, text)),
            Just(Item::End),
        ]
    }

    proptest! {
        // `PROPTEST_CASES` asks for more.
        #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2000)))]

        #[test]
        fn any_mixture_in_any_portions_comes_back(
            (nonce, items) in Just(Nonce::draw()).prop_flat_map(|n| (Just(n), proptest::collection::vec(item(n), 1..20))),
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
        fn a_frame_cut_anywhere_is_text(cut in 1..60_usize, text in proptest::collection::vec(any::<u8>(), 40)) {
            let nonce = Nonce::draw();
            let whole = encode(&nonce, &Item::Record(3, [true, false, false], 7, text));
            prop_assert_eq!(decode(nonce, &whole[..cut], &[13]), vec![Item::Raw(whole[..cut].to_vec())]);
        }
    }

    #[test]
    fn an_impossible_header_behind_the_nonce_is_text() {
        let nonce = Nonce::draw();
        // No such kind; more text than a frame has; an end that has some.
        for [kind, length] in [[9, 0], [3, 255], [0, 1]] {
            let mut bytes = nonce.0.to_vec();
            bytes.extend([kind, 0, length, length, 0, 0, 0, 0, 0, 0, 0, 0, b'x']);
            let raw = vec![Item::Raw(bytes.clone())];
            assert_eq!(decode(nonce, &bytes, &[1]), raw, "{kind}");
            let Step::Raw(_) = Decoder::new(nonce).step(&bytes, true) else { panic!("nothing to wait for: {kind}") };
        }
    }
}
