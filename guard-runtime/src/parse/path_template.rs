//! Path templates: `~`, `$VAR`, `${VAR}`, `${VAR:-default}`, `$$`, where a default is a template too; `{argument}`, `{{`,
//! `}}`. One grammar, read by the compiler to check a literal and at run time to fill it in.

use std::ffi::{OsStr, OsString};
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// A part of a template, as ranges of its bytes.
#[derive(Clone, Copy)]
enum Part {
    Text {
        end: usize,
    },
    Home {
        end: usize,
    },
    /// `$$`, `{{` or `}}`: the first of the two.
    Escaped {
        end: usize,
    },
    Argument {
        name: (usize, usize),
        end: usize,
    },
    Variable {
        name: (usize, usize),
        default: Option<(usize, usize)>,
        end: usize,
    },
}

/// Checks a template's form. `const`, so that a malformed literal is a compile error.
///
/// # Errors
/// A text that says what would be right: an empty path, a NUL, an unclosed brace, an empty or malformed name.
pub(crate) const fn check(template: &str) -> Result<(), &'static str> {
    let bytes = template.as_bytes();
    if bytes.is_empty() {
        return Err("an empty path names no file");
    }
    if let Err(wrong) = check_range(bytes, 0, bytes.len(), true) {
        return Err(wrong);
    }
    if bytes[bytes.len() - 1] == b'/' {
        return Err("a path that ends in `/` names a directory, not a file");
    }
    Ok(())
}

/// Checks the form of a text that need not be a path.
#[cfg(feature = "postgres")]
pub(crate) const fn check_parts(template: &str) -> Result<(), &'static str> {
    check_range(template.as_bytes(), 0, template.len(), false)
}

/// Checks what stands from `start` to `end`: all of it, or a default. `leads` where the path starts there.
const fn check_range(bytes: &[u8], start: usize, end: usize, leads: bool) -> Result<(), &'static str> {
    let mut at = start;
    while at < end {
        let part = match part(bytes, at, start, end) {
            Ok(part) => part,
            Err(wrong) => return Err(wrong),
        };
        if let Part::Variable { default: Some((from, to)), .. } = part {
            let leads = leads && at == start;
            if !leads && starts_with_home(bytes, from, to) {
                return Err("`~` stands for the home directory only where the path starts");
            }
            if let Err(wrong) = check_range(bytes, from, to, leads) {
                return Err(wrong);
            }
        }
        at = match part {
            Part::Text { end }
            | Part::Home { end }
            | Part::Escaped { end }
            | Part::Argument { end, .. }
            | Part::Variable { end, .. } => end,
        };
    }
    Ok(())
}

/// Whether a template names an argument. One whose form is wrong does not.
pub(crate) const fn names_an_argument(template: &str) -> bool {
    let bytes = template.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        at = match part(bytes, at, 0, bytes.len()) {
            Ok(Part::Argument { .. }) => return true,
            Ok(Part::Text { end } | Part::Home { end } | Part::Escaped { end } | Part::Variable { end, .. }) => end,
            Err(_) => return false,
        };
    }
    false
}

/// Names and values.
pub(crate) type Arguments = [(String, String)];

/// Fills a template in, with `variable` to look names up.
pub(crate) fn expand(
    template: &str,
    arguments: &Arguments,
    variable: impl Fn(&OsStr) -> Option<OsString>,
) -> Result<PathBuf, String> {
    check(template)?;
    fill(template, arguments, variable).map(PathBuf::from)
}

/// The same of a text that need not be a path.
pub(crate) fn fill(
    template: &str,
    arguments: &Arguments,
    variable: impl Fn(&OsStr) -> Option<OsString>,
) -> Result<OsString, String> {
    let mut path = OsString::new();
    fill_range(template, 0, template.len(), arguments, &variable, &mut path)?;
    if path.as_bytes().contains(&0) {
        return Err("the path contains a NUL byte".into());
    }
    Ok(path)
}

/// Fills in what stands from `start` to `end`.
fn fill_range(
    template: &str,
    start: usize,
    end: usize,
    arguments: &Arguments,
    variable: &impl Fn(&OsStr) -> Option<OsString>,
    path: &mut OsString,
) -> Result<(), String> {
    let bytes = template.as_bytes();
    let lookup = |name: &str| variable(OsStr::new(name)).filter(|value| !value.is_empty());
    let mut at = start;
    while at < end {
        at = match part(bytes, at, start, end)? {
            Part::Text { end } => {
                path.push(&template[at..end]);
                end
            }
            Part::Escaped { end } => {
                path.push(&template[at..=at]);
                end
            }
            Part::Argument { name: (from, to), end } => {
                let name = &template[from..to];
                let Some((_, value)) = arguments.iter().find(|(given, _)| given == name) else {
                    return Err(format!("`{{{name}}}` has no value: give it with Config::argument(\"{name}\", …)"));
                };
                path.push(encoded(value).map_err(|wrong| format!("`{{{name}}}`: {wrong}"))?);
                end
            }
            Part::Home { end } => {
                path.push(
                    lookup("HOME")
                        .ok_or("`~` needs the variable HOME, which is not set; set it, or write an absolute path")?,
                );
                end
            }
            Part::Variable { name: (from, to), default, end } => {
                let name = &template[from..to];
                match (lookup(name), default) {
                    (Some(value), _) => path.push(value),
                    (None, Some((from, to))) => fill_range(template, from, to, arguments, variable, path)?,
                    (None, None) => {
                        return Err(format!(
                            "the variable {name} is not set; set it, or give a default: ${{{name}:-/some/path}}"
                        ));
                    }
                }
                end
            }
        };
    }
    Ok(())
}

/// A value as a part of a file's name: it cannot leave its directory, and no two values are the same.
fn encoded(value: &str) -> Result<String, &'static str> {
    if matches!(value, "" | "." | "..") {
        return Err("an empty value, `.` and `..` name no file");
    }
    let mut name = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"._-".contains(&byte) {
            name.push(byte.into());
        } else {
            let _ = write!(name, "%{byte:02X}");
        }
    }
    Ok(name)
}

/// A `~` there stands for the home directory.
const fn starts_with_home(bytes: &[u8], at: usize, end: usize) -> bool {
    at < end && bytes[at] == b'~' && (at + 1 == end || bytes[at + 1] == b'/')
}

/// The part that starts at `at`, of what stands from `start` to `end`.
const fn part(bytes: &[u8], at: usize, start: usize, end: usize) -> Result<Part, &'static str> {
    let next = if at + 1 < end { bytes[at + 1] } else { 0 };
    match bytes[at] {
        0 => Err("a path cannot contain a NUL byte"),
        b'~' if at == start && starts_with_home(bytes, at, end) => Ok(Part::Home { end: at + 1 }),
        b'$' if next == b'$' => Ok(Part::Escaped { end: at + 2 }),
        b'{' | b'}' if next == bytes[at] => Ok(Part::Escaped { end: at + 2 }),
        b'{' => argument(bytes, at + 1, end),
        b'}' => Err("`}` without a `{` in front of it: write `}}` for a brace"),
        b'$' if next == b'{' => braced(bytes, at + 2, end),
        b'$' => match name_end(bytes, at + 1, end) {
            end if end == at + 1 => {
                Err("`$` needs the name of a variable behind it, as in `$HOME`; write `$$` for a dollar")
            }
            end => Ok(Part::Variable { name: (at + 1, end), default: None, end }),
        },
        _ => {
            let mut to = at + 1;
            while to < end && !matches!(bytes[to], b'$' | b'{' | b'}' | 0) {
                to += 1;
            }
            Ok(Part::Text { end: to })
        }
    }
}

/// `name}`.
const fn argument(bytes: &[u8], start: usize, end: usize) -> Result<Part, &'static str> {
    let mut at = start;
    while at < end && (bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_' || !bytes[at].is_ascii()) {
        at += 1;
    }
    if at == start || at == end || bytes[at] != b'}' || bytes[start].is_ascii_digit() {
        return Err("`{` needs the name of an argument and `}`: write `{argument}`, or `{{` for a brace");
    }
    Ok(Part::Argument { name: (start, at), end: at + 1 })
}

/// `NAME}` or `NAME:-default}`.
const fn braced(bytes: &[u8], start: usize, end: usize) -> Result<Part, &'static str> {
    const UNCLOSED: &str = "`${` is not closed: write `${NAME}` or `${NAME:-default}`";
    let name_end = name_end(bytes, start, end);
    if name_end == end {
        return Err(UNCLOSED);
    }
    if name_end == start {
        return Err("`${` needs the name of a variable behind it, as in `${HOME}`");
    }
    let name = (start, name_end);
    match bytes[name_end] {
        b'}' => Ok(Part::Variable { name, default: None, end: name_end + 1 }),
        b':' if name_end + 1 < end && bytes[name_end + 1] == b'-' => {
            let from = name_end + 2;
            let (mut to, mut open) = (from, 0);
            while to < end && (open > 0 || bytes[to] != b'}') {
                match bytes[to] {
                    b'{' if bytes[to - 1] == b'$' => open += 1,
                    b'{' => return Err("a default cannot contain `{` but in `${NAME}`"),
                    b'}' => open -= 1,
                    _ => {}
                }
                to += 1;
            }
            if to == end {
                return Err(UNCLOSED);
            }
            Ok(Part::Variable { name, default: Some((from, to)), end: to + 1 })
        }
        _ => Err("a variable's name is made of letters, digits and `_`, and ends in `}` or `:-`"),
    }
}

const fn name_end(bytes: &[u8], start: usize, end: usize) -> usize {
    let mut at = start;
    while at < end
        && (bytes[at] == b'_' || bytes[at].is_ascii_alphabetic() || (at > start && bytes[at].is_ascii_digit()))
    {
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(template: &str) -> Result<String, String> {
        let variable = |name: &OsStr| match name.to_str()? {
            "HOME" => Some("/home/x".into()),
            "RUN_1" => Some("/run/one".into()),
            "EMPTY" => Some(OsString::new()),
            _ => None,
        };
        let arguments = [("tenant", "north/1"), ("n", "7"), ("empty", ""), ("up", ".."), ("größe", "x")];
        let arguments = arguments.map(|(name, value)| (name.to_owned(), value.to_owned()));
        expand(template, &arguments, variable).map(|path| path.into_os_string().into_string().unwrap())
    }

    #[test]
    fn templates() {
        for (template, path) in [
            ("a/b.log", "a/b.log"),
            ("~/b.log", "/home/x/b.log"),
            ("a~/~b", "a~/~b"),
            ("~other/b", "~other/b"),
            ("$RUN_1/a$$b", "/run/one/a$b"),
            ("${RUN_1}a/b", "/run/onea/b"),
            ("${NONE:-/tmp}/b", "/tmp/b"),
            ("${EMPTY:-/tmp}/b", "/tmp/b"),
            ("${NONE:-}b", "b"),
            ("${NONE:-~/.local/state}/b", "/home/x/.local/state/b"),
            ("${NONE:-~}/b", "/home/x/b"),
            ("${NONE:-$HOME/a}/b", "/home/x/a/b"),
            ("${NONE:-${EMPTY:-~/a}}/b", "/home/x/a/b"),
            ("a/${NONE:-$RUN_1${EMPTY:-x}}/b", "a//run/onex/b"),
            ("${NONE:-$$a}/b", "$a/b"),
            ("${NONE:-a~b}/~", "a~b/~"),
            ("${RUN_1:-~/a}/b", "/run/one/b"),
            ("a/sync-{tenant}.lock", "a/sync-north%2F1.lock"),
            ("{n}{n}/{{n}}/$$", "77/{n}/$"),
            ("$RUN_1{n}/{größe}", "/run/one7/x"),
            ("${NONE:-a}{n}", "a7"),
        ] {
            assert_eq!(filled(template).as_deref(), Ok(path), "{template}");
        }
        assert!(filled("$NONE/b").unwrap_err().contains("variable NONE is not set"));
        assert!(filled("${NONE:-$NEITHER}/b").unwrap_err().contains("variable NEITHER is not set"));
        for template in [
            "",
            "a/",
            "$",
            "a$/b",
            "${",
            "${}",
            "${A",
            "${A:-b",
            "${A-b}",
            "${A:",
            "${A:}",
            "${A:b}",
            "${1A}",
            "a\0b",
            "{",
            "a{n",
            "a}",
            "{}",
            "{7}",
            "{n:?}",
            "{n }",
            "${A:-{n}}",
            // Defaults that would be read as something that nobody means.
            "a/${A:-~}/b",
            "a/${A:-~/b}",
            "${A:-b/${C:-~}}",
            "${A:-$}",
            "${A:-$/b}",
            "${A:-{b}}",
            "${A:-${B}",
            "${A:-${}}",
            "${A:-${B:-c}",
        ] {
            assert!(check(template).is_err(), "{template}");
        }
    }

    /// Whatever the value: one name in the directory, and a different one for each value.
    #[test]
    fn values_stay_in_their_place() {
        for (value, name) in [
            ("../x", "..%2Fx"),
            ("a/b", "a%2Fb"),
            ("a%2Fb", "a%252Fb"),
            ("a\0b", "a%00b"),
            ("a\nb", "a%0Ab"),
            ("größe", "gr%C3%B6%C3%9Fe"),
            ("-rf", "-rf"),
            ("~", "%7E"),
            ("$HOME", "%24HOME"),
            ("{n}", "%7Bn%7D"),
            ("...", "..."),
        ] {
            assert_eq!(encoded(value).as_deref(), Ok(name), "{value}");
        }
        for value in ["", ".", ".."] {
            assert!(encoded(value).is_err(), "{value}");
        }
        for template in ["a/{empty}", "{up}/a"] {
            assert!(filled(template).unwrap_err().contains("name no file"), "{template}");
        }
        assert!(filled("{other}").unwrap_err().contains("`{other}` has no value"));
    }

    #[test]
    fn a_template_names_an_argument_or_not() {
        for (template, does) in
            [("a{n}", true), ("${A:-b}/{n}", true), ("a{{n}}", false), ("${n}", false), ("{", false)]
        {
            assert_eq!(names_an_argument(template), does, "{template}");
        }
    }

    proptest! {
        #[test]
        fn no_template_panics(template in "[~${}:a-zA-Z0-9/_ é-]{0,30}|(\\$\\{[A-B]:-|[~/a$}]|\\$HOME|\\$\\{B\\}){0,9}") {
            prop_assert!(check(&template).is_ok() || filled(&template).is_err());
        }
    }
}
