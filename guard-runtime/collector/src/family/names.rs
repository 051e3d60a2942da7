//! Names of processes for people: `pid 4711 (rsync), pid 4712 (sh) and 12 more`.

use core::fmt::{self, Display, Write};

use super::Member;
use super::proc::Name;
use crate::buffer::Buffer;

/// As many are named; the rest is counted.
const MOST_NAMES: usize = 10;
/// ` and 4294967295 more`
const ROOM_FOR_COUNT: usize = 20;

/// Names them all, or as many as have room.
pub(super) fn list<'m>(members: impl Iterator<Item = &'m Member> + Clone, text: &mut Buffer<'_>) {
    let all = members.clone().count();
    let mut named = 0;
    for member in members.take(MOST_NAMES) {
        let before = text.len();
        let separator = if named == 0 { "" } else { ", " };
        let _ = write!(text, "{separator}pid {} ({}{})", member.pid, Printable(&member.name), remark(member));
        if text.space() < ROOM_FOR_COUNT {
            text.truncate(before);
            break;
        }
        named += 1;
    }
    if named < all {
        let start = if named == 0 { "" } else { " and " };
        let _ = write!(text, "{start}{} more", all - named);
    }
}

fn remark(member: &Member) -> &'static str {
    match (member.is_refused, member.is_unreadable) {
        (true, _) => ", may not be signalled",
        (false, true) => ", may not be looked at",
        (false, false) => "",
    }
}

/// A process chooses its name: what could be taken for the end of a line or a control sequence is replaced.
struct Printable<'n>(&'n Name);

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_harmless = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        self.0
            .bytes()
            .iter()
            .try_for_each(|byte| f.write_char(if is_harmless(*byte) { char::from(*byte) } else { '?' }))
    }
}
