//! Any bytes among frames, read in any portions, must come out as when they are read at once: the same records, the same
//! text, the same lines.
#![no_main]
#![allow(dead_code)]

#[path = "../../guard-runtime/src/frame.rs"]
mod frame;
#[path = "../../guard-runtime/src/collector/lines.rs"]
mod lines;
#[path = "../../guard-runtime/src/collector/screen.rs"]
mod screen;
#[path = "../../guard-runtime/src/collector/stamp.rs"]
mod stamp;

use frame::{Decoder, Frame, HEADER, Nonce, Severity, Step, write_header};
use libfuzzer_sys::fuzz_target;
use lines::{Batch, LineShaper, record_line};

const STAMP: &[u8; stamp::LENGTH] = b"2026-02-20T01:51:45.123456Z";

/// What the collector would write of a stream that comes in such portions: the log, and the console.
fn collected(nonce: Nonce, stream: &[u8], mut portion: impl FnMut() -> usize) -> (Vec<u8>, Vec<u8>) {
    let decoder = Decoder::new(nonce);
    let (mut shaper, mut batch) = (LineShaper::new(*b"OUT"), Batch::with_room(0));
    let (mut log, mut console, mut held, mut fed) = (Vec::new(), Vec::new(), Vec::new(), 0);
    while fed < stream.len() {
        let size = portion().clamp(1, stream.len() - fed);
        held.extend_from_slice(&stream[fed..fed + size]);
        fed += size;
        let mut at = 0;
        while at < held.len() {
            match decoder.step(&held[at..], fed < stream.len()) {
                Step::Incomplete => break,
                Step::Raw(text) => {
                    at += text.len();
                    console.extend_from_slice(text);
                    let mut rest = text;
                    while !rest.is_empty() {
                        rest = &rest[shaper.shape(rest, STAMP, &mut batch)..];
                        log.extend_from_slice(batch.lines());
                        batch.clear();
                    }
                }
                Step::Frame(frame, size) => {
                    at += size;
                    let Frame::Record { severity, text, .. } = frame else { continue };
                    let (mut rest, mut first) = (text, true);
                    while first || !rest.is_empty() {
                        rest = &rest[record_line(rest, first, STAMP, severity, &mut batch)..];
                        first = false;
                    }
                    log.extend_from_slice(batch.lines());
                    batch.clear();
                }
            }
        }
        held.drain(..at);
    }
    assert!(held.is_empty());
    shaper.break_line(STAMP, &mut batch);
    log.extend_from_slice(batch.lines());
    (log, console)
}

thread_local! {
    static NONCE: Nonce = Nonce::draw();
}

fuzz_target!(|script: &[u8]| {
    let nonce = NONCE.with(|nonce| *nonce);
    let (mut script, mut stream, mut printed) = (script, Vec::new(), Vec::new());
    let mut sizes = Vec::new();
    // An instruction is what to write, and how much of it.
    while let [what, size, rest @ ..] = script {
        let (text, behind) = rest.split_at(usize::from(*size).min(rest.len()));
        script = behind;
        let mut header = [0; HEADER];
        let severity = Severity::from_byte(what % 7);
        let frame = match severity {
            _ if *what >= 128 => None,
            None if what % 7 == 0 => Some(Frame::End),
            None => None,
            Some(severity) => {
                let [console, further, more] = [16, 32, 64].map(|flag| what & flag != 0);
                Some(Frame::Record { severity, console, further, more, time: 7, text })
            }
        };
        match frame {
            Some(frame) => {
                write_header(&mut header, &nonce, &frame);
                stream.extend_from_slice(&header);
                if let Frame::Record { text, .. } = frame {
                    stream.extend_from_slice(text);
                }
            }
            None => {
                // The beginning of a frame, and then something else.
                write_header(&mut header, &nonce, &Frame::End);
                let start = &header[..usize::from(what & 15)];
                for bytes in [start, text] {
                    stream.extend_from_slice(bytes);
                    printed.extend_from_slice(bytes);
                }
            }
        }
        sizes.push(usize::from(*size));
    }
    let mut nonce_bytes = [0; HEADER];
    write_header(&mut nonce_bytes, &nonce, &Frame::End);
    if memchr::memmem::find(&printed, &nonce_bytes[..16]).is_some() {
        // The fuzzer watches comparisons, and so finds the secret out. A program does not.
        return;
    }
    let mut next = sizes.iter().cycle();
    let whole = collected(nonce, &stream, || usize::MAX);
    assert_eq!(whole, collected(nonce, &stream, || 1));
    assert_eq!(whole, collected(nonce, &stream, || next.next().map_or(1, |size| *size)));
    assert_eq!(whole.1, printed);
    for line in whole.0.split_inclusive(|byte| *byte == b'\n') {
        assert!(line.starts_with(STAMP) || line.starts_with(b"    "));
        assert!(!screen::has_controls(line));
    }
});
