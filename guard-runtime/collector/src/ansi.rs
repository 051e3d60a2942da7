//! What a terminal would show of a line: escape sequences are taken out, and of what is redrawn after a carriage return or
//! over backspaces the last state is kept. Pure.

use core::mem;

use anstyle_parse::state::{Action, State, state_change};

use crate::buffer::Buffer;

const ESCAPE: u8 = 0x1B;
const BACKSPACE: u8 = 0x08;

/// Is there anything in these bytes that a terminal would not just show?
pub(crate) fn has_controls(bytes: &[u8]) -> bool {
    next_control(bytes).is_some()
}

fn next_control(bytes: &[u8]) -> Option<usize> {
    memchr::memchr3(ESCAPE, b'\r', BACKSPACE, bytes)
}

/// Where drawing a line has come to.
#[derive(Default)]
pub(crate) struct Screen {
    /// Inside an escape sequence.
    sequence: Option<State>,
    /// The number in the sequence; several are `u16::MAX`.
    parameter: u16,
    /// A carriage return was last: what is drawn next takes the line's place.
    returned: bool,
    /// Bytes of the line that the cursor was moved back over.
    behind: usize,
}

impl Screen {
    /// Text without controls cannot just be appended.
    pub(crate) fn is_busy(&self) -> bool {
        self.sequence.is_some() || self.returned || self.behind > 0
    }

    /// Appends what `text`, which has no newline in it, shows of itself. The line begins at `start` of `line`.
    pub(crate) fn draw(&mut self, text: &[u8], line: &mut Buffer<'_>, start: usize) {
        // The line may have been cut since.
        self.behind = self.behind.min(line.len().saturating_sub(start));
        let mut rest = text;
        while let Some(&byte) = rest.first() {
            let taken = match (self.sequence, byte) {
                (Some(state), _) => self.follow(state, byte, line, start),
                (None, ESCAPE) => {
                    (self.sequence, self.parameter) = (Some(State::Escape), 0);
                    1
                }
                (None, b'\r') => {
                    (self.returned, self.behind) = (true, 0);
                    1
                }
                (None, BACKSPACE) => {
                    self.move_back(line, start);
                    1
                }
                // Shows nothing of itself: it does not yet take the place of a line that was returned to.
                (None, 0..0x20 | 0x7F) => {
                    line.push(byte);
                    self.behind += usize::from(self.behind > 0);
                    1
                }
                (None, _) => {
                    if mem::take(&mut self.returned) {
                        line.truncate(start);
                    }
                    let end =
                        if self.behind > 0 { rest.iter().position(u8::is_ascii_control) } else { next_control(rest) };
                    let length = end.unwrap_or(rest.len());
                    let text = rest.get(..length).unwrap_or_default();
                    let over = self.draw_over(text, line);
                    line.extend(text.get(over..).unwrap_or_default());
                    length
                }
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
    }

    /// One character to the left, but not beyond the beginning; none where the line is to be replaced anyway.
    fn move_back(&mut self, line: &Buffer<'_>, start: usize) {
        let before = line.get(start..line.len() - self.behind).unwrap_or_default();
        if !self.returned && !before.is_empty() {
            let begins = |byte: &u8| !is_continuation(*byte);
            self.behind += before.iter().rev().position(begins).map_or(before.len(), |place| place + 1);
        }
    }

    /// Text in the place of what is behind the cursor, as far as that goes; returns how much. Byte by byte, for a letter may come
    /// in two portions: one that is not ASCII ends the line there, and so does the end of an old one that is not. Usually it
    /// was the last.
    fn draw_over(&mut self, text: &[u8], line: &mut Buffer<'_>) -> usize {
        let mut taken = 0;
        while self.behind > 0
            && let Some(new) = text.get(taken..taken + 1)
        {
            let at = line.len() - self.behind;
            if new.is_ascii() && line.get(at).is_some_and(u8::is_ascii) {
                line.overwrite(at, new);
                self.behind -= 1;
                taken += 1;
            } else {
                line.truncate(at);
                self.behind = 0;
            }
        }
        taken
    }

    /// The next byte of an escape sequence, or none of it.
    fn follow(&mut self, state: State, byte: u8, line: &mut Buffer<'_>, start: usize) -> usize {
        let is_string = matches!(state, State::OscString | State::DcsPassthrough | State::SosPmApcString);
        if byte >= 0x80 {
            // A string may have any text in it (no 8-bit terminator: that is part of a letter in UTF-8); no other sequence
            // goes on beyond ASCII.
            self.sequence = self.sequence.filter(|_| is_string);
            return usize::from(is_string);
        }
        let (next, action) = state_change(state, byte);
        match action {
            Action::Param if byte.is_ascii_digit() => {
                self.parameter = self.parameter.saturating_mul(10).saturating_add(u16::from(byte - b'0'));
            }
            Action::Param => self.parameter = u16::MAX,
            // "Erase in line" (ECMA-48, EL): all of it, or from its beginning to its end.
            Action::CsiDispatch if byte == b'K' && (self.parameter == 2 || self.returned && self.parameter == 0) => {
                line.truncate(start);
                self.behind = 0;
            }
            Action::CsiDispatch if byte == b'K' && self.parameter == 0 => {
                line.truncate(line.len() - self.behind);
                self.behind = 0;
            }
            // "Cursor character absolute" (CHA): to the first column.
            Action::CsiDispatch if byte == b'G' && self.parameter <= 1 => (self.returned, self.behind) = (true, 0),
            _ => {}
        }
        match next {
            State::Anywhere => {}
            State::Ground => self.sequence = None,
            next => self.sequence = Some(next),
        }
        1
    }

    /// The newline: it ends a sequence too, so that one which is never finished takes no further line with it.
    pub(crate) fn end_line(&mut self) {
        *self = Self::default();
    }
}

fn is_continuation(byte: u8) -> bool {
    byte & 0xC0 == 0x80
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let mut room = [0; 200];
        let mut line = Buffer::new(&mut room);
        line.extend(b"| ");
        Screen::default().draw(text.as_bytes(), &mut line, 2);
        String::from_utf8(line[2..].to_vec()).unwrap()
    }

    #[test]
    fn lines_as_a_terminal_shows_them() {
        for (text, shows) in [
            ("plain", "plain"),
            ("\x1b[1;31mred\x1b[0m and not", "red and not"),
            ("\x1b[38;2;1;2;3mtrue colour\x1b[K", "true colour"),
            ("\x1b]0;a title\x07text", "text"),
            ("\x1b]8;;https://example.org\x1b\\link\x1b]8;;\x1b\\", "link"),
            ("\x1b(Bcharset", "charset"),
            ("\x1bPa device string\x1b\\after", "after"),
            ("crlf\r", "crlf"),
            ("10 %\r20 %\r100 %", "100 %"),
            ("20 %\r\x1b[2K\x1b[32mdone", "done"),
            ("20 %\r\x1b[K", ""),
            ("20 %\r\x1b[2K", ""),
            ("to the right\x1b[K", "to the right"),
            ("\x1b[3\u{e4}", "\u{e4}"),
            ("\u{9b}1m\u{1f600}", "\u{9b}1m\u{1f600}"),
            ("bell\x07 and \0", "bell\x07 and \0"),
            ("done\r\x07", "done\x07"),
            ("\x1b[1G\x1b[0K- one\x1b[1G\x1b[0K+ two", "+ two"),
            ("one\x1b[Gtwo\x1b[11Gthree\x1b[1;1G", "twothree"),
            ("one\x1b[;1Gtwo", "onetwo"),
            ("\x1bPcheck \u{2713} mark\x1b\\after", "after"),
            ("\x1b]0;\u{dc}ber\x07after", "after"),
            ("spin -\x08\\\x08|\x08/\x08done", "spin done"),
            ("50%\x08\x08\x08100%", "100%"),
            ("abc\x08\x08X", "aXc"),
            ("abc\x08 \x08", "ab "),
            ("abc\x08\x08\x1b[Kd", "ad"),
            ("abc\x08\x08\rx", "x"),
            ("\u{e9}\x08e", "e"),
            ("\u{280b}\x08\u{2819}\x08\u{2839} wait", "\u{2839} wait"),
            ("\x08\x08at the edge", "at the edge"),
        ] {
            assert_eq!(shown(text), shows, "{text:?}");
        }
    }
}
