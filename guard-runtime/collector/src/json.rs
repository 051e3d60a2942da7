//! As much of JSON as the status file needs: strings of any bytes out, the members of an object in.

use core::fmt::{self, Write};

/// Writes `bytes` as a string: what is not UTF-8 becomes U+FFFD. Between the quotes stand at most `limit` bytes, the rest
/// is cut off.
///
/// # Errors
/// Where `out` is full.
pub(crate) fn write_string(out: &mut impl Write, bytes: &[u8], limit: usize) -> fmt::Result {
    out.write_char('"')?;
    let mut left = limit;
    for chunk in bytes.utf8_chunks() {
        let replacement = if chunk.invalid().is_empty() { "" } else { "\u{fffd}" };
        for letter in chunk.valid().chars().chain(replacement.chars()) {
            let short = match letter {
                '"' => Some('"'),
                '\\' => Some('\\'),
                '\n' => Some('n'),
                '\r' => Some('r'),
                '\t' => Some('t'),
                _ => None,
            };
            let size = if short.is_some() {
                2
            } else if letter < ' ' {
                6
            } else {
                letter.len_utf8()
            };
            let Some(rest) = left.checked_sub(size) else { return out.write_char('"') };
            left = rest;
            match short {
                Some(short) => write!(out, "\\{short}"),
                None if letter < ' ' => write!(out, "\\u{:04x}", u32::from(letter)),
                None => out.write_char(letter),
            }?;
        }
    }
    out.write_char('"')
}

/// A member's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// `null`
    Null,
    /// `true` and `false`
    Bool(bool),
    /// A number, as it stands there.
    Number(&'a str),
    /// A string without its quotes, its escapes as they stand there.
    String(&'a str),
    /// An object, from brace to brace.
    Object(&'a str),
    /// An array, of whatever.
    Array,
}

/// Deeper than so is refused: each level takes some of the stack.
const DEEPEST: usize = 16;

/// Shows each member of the object that `text` is to `visit`. `None` where `text` is anything but one whole object; some
/// members may have been visited by then.
pub(crate) fn members<'a>(text: &'a str, visit: &mut dyn FnMut(&'a str, Value<'a>)) -> Option<()> {
    let mut reader = Reader { rest: text };
    reader.skip_space();
    reader.object(DEEPEST, visit)?;
    reader.skip_space();
    reader.rest.is_empty().then_some(())
}

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn skip_space(&mut self) {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\n', '\r']);
    }

    /// Takes `token`, if it comes next.
    fn takes(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn require(&mut self, token: &str) -> Option<()> {
        self.takes(token).then_some(())
    }

    /// Takes that many bytes; they end between two letters.
    fn take(&mut self, bytes: usize) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_at_checked(bytes)?;
        self.rest = rest;
        Some(taken)
    }

    fn object(&mut self, depth: usize, visit: &mut dyn FnMut(&'a str, Value<'a>)) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.require("{")?;
        self.skip_space();
        if self.takes("}") {
            return Some(());
        }
        loop {
            self.skip_space();
            let key = self.string()?;
            self.skip_space();
            self.require(":")?;
            let value = self.value(depth)?;
            visit(key, value);
            if !self.takes(",") {
                return self.require("}");
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        self.require("[")?;
        self.skip_space();
        if self.takes("]") {
            return Some(());
        }
        loop {
            self.value(depth)?;
            if !self.takes(",") {
                return self.require("]");
            }
        }
    }

    /// A value, with the space around it.
    fn value(&mut self, depth: usize) -> Option<Value<'a>> {
        self.skip_space();
        let start = self.rest;
        let value = match start.bytes().next()? {
            b'"' => Value::String(self.string()?),
            b'{' => {
                self.object(depth, &mut |_, _| {})?;
                Value::Object(start.get(..start.len() - self.rest.len())?)
            }
            b'[' => {
                self.array(depth)?;
                Value::Array
            }
            b'n' => self.require("null").map(|()| Value::Null)?,
            b't' => self.require("true").map(|()| Value::Bool(true))?,
            b'f' => self.require("false").map(|()| Value::Bool(false))?,
            _ => Value::Number(self.number()?),
        };
        self.skip_space();
        Some(value)
    }

    fn string(&mut self) -> Option<&'a str> {
        self.require("\"")?;
        let start = self.rest;
        loop {
            let plain = self.rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?;
            self.take(plain)?;
            match self.take(1)? {
                "\"" => return start.get(..start.len() - self.rest.len() - 1),
                "\\" => match self.take(1)? {
                    "\"" | "\\" | "/" | "b" | "f" | "n" | "r" | "t" => {}
                    "u" if self.take(4)?.bytes().all(|digit| digit.is_ascii_hexdigit()) => {}
                    _ => return None,
                },
                _ => return None,
            }
        }
    }

    fn number(&mut self) -> Option<&'a str> {
        let start = self.rest;
        self.takes("-");
        if !self.takes("0") {
            self.digits()?;
        }
        if self.takes(".") {
            self.digits()?;
        }
        if self.takes("e") || self.takes("E") {
            let _ = self.takes("+") || self.takes("-");
            self.digits()?;
        }
        start.get(..start.len() - self.rest.len())
    }

    fn digits(&mut self) -> Option<()> {
        let rest = self.rest.trim_start_matches(|letter: char| letter.is_ascii_digit());
        let found = rest.len() < self.rest.len();
        self.rest = rest;
        found.then_some(())
    }
}

#[cfg(test)]
mod tests {

    use proptest::prelude::*;

    use super::*;

    fn written(bytes: &[u8], limit: usize) -> String {
        let mut text = String::new();
        write_string(&mut text, bytes, limit).unwrap();
        text
    }

    /// Any JSON text, by the other side's words.
    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::{Map, Number, Value};
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "-?(0|[1-9][0-9]{0,5})(\\.[0-9]{1,5})?([eE][+-]?[0-9]{1,2})?"
                .prop_map(|number: String| Value::Number(Number::from_string_unchecked(number))),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::vec((any::<String>(), inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_by_others_as_the_text_they_are(bytes: Vec<u8>) {
            let read: String = serde_json::from_str(&written(&bytes, usize::MAX)).unwrap();
            prop_assert_eq!(read, String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn a_cut_string_is_a_string_no_longer_than_the_limit(bytes: Vec<u8>, limit in 0..50_usize) {
            let text = written(&bytes, limit);
            prop_assert!(text.len() <= limit + 2);
            let read: String = serde_json::from_str(&text).unwrap();
            prop_assert!(String::from_utf8_lossy(&bytes).starts_with(&read));
        }

        #[test]
        fn any_object_is_read(value in any_json(), pretty: bool) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let mut count = 0;
            let read = members(&text, &mut |_, _| count += 1);
            prop_assert_eq!(read.is_some(), value.is_object(), "{}", text);
            prop_assert_eq!(count, value.as_object().map_or(0, serde_json::Map::len));
        }

        /// What we take, others take too, but for halves of letters (`\ud800`) and numbers past all bounds.
        #[test]
        fn nothing_else_is_read(text in "[{}\\[\\],:\"a0.e+\\- \\\\nu]{0,12}") {
            if members(&text, &mut |_, _| {}).is_some() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok(), "{}", text);
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(text: String) {
            let _ = members(&text, &mut |_, _| {});
        }
    }

    #[test]
    fn values_by_kind() {
        let text = r#" { "a" : null, "b":true,"c":[1,[2]],"d": {"x":"}"} , "e":"q\"\u00e9" ,"f":-1.5e3 } "#;
        let mut found = Vec::new();
        members(text, &mut |key, value| found.push((key, value))).unwrap();
        assert_eq!(
            found,
            [
                ("a", Value::Null),
                ("b", Value::Bool(true)),
                ("c", Value::Array),
                ("d", Value::Object(r#"{"x":"}"}"#)),
                ("e", Value::String(r#"q\"\u00e9"#)),
                ("f", Value::Number("-1.5e3")),
            ]
        );
    }

    #[test]
    fn a_tower_of_brackets_is_refused() {
        let tower = "{\"a\":".repeat(100_000);
        assert_eq!(members(&tower, &mut |_, _| {}), None);
        let tower = String::from("{\"a\":") + &"[".repeat(100_000);
        assert_eq!(members(&tower, &mut |_, _| {}), None);
    }
}
