//! `~/.pgpass`: the password of the first line that fits, by the rules of libpq.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Whom a password is for, as a line of the file names it.
pub(super) struct Entry<'a> {
    /// `localhost` for the default directory of Unix sockets.
    pub(super) host: &'a str,
    pub(super) port: u16,
    pub(super) database: &'a str,
    pub(super) user: &'a str,
}

/// The password in that file; none where no line fits or the file is not there.
///
/// # Errors
/// Where the file cannot be read, or others can read it.
pub(super) fn look_up(path: &Path, entry: &Entry<'_>) -> Result<Option<String>, String> {
    let Ok(metadata) = path.metadata() else { return Ok(None) };
    let shown = path.display();
    if !metadata.is_file() {
        return Err(format!("the password file {shown} is not a regular file"));
    }
    if metadata.mode() & 0o077 != 0 {
        let mode = metadata.mode() & 0o777;
        return Err(format!("the password file {shown} can be read by others (mode {mode:04o}): chmod 0600 {shown}"));
    }
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("cannot read the password file {shown}: {error}"))?;
    Ok(find(&text, entry))
}

fn find(text: &str, entry: &Entry<'_>) -> Option<String> {
    let port = entry.port.to_string();
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let mut rest = line;
        for wanted in [entry.host, &port, entry.database, entry.user] {
            let (field, behind, is_bare_star) = field(rest);
            if !is_bare_star && field != wanted {
                return None;
            }
            rest = behind?;
        }
        Some(field(rest).0).filter(|password| !password.is_empty())
    })
}

/// The text up to the next colon without a backslash, the rest behind that, and whether the text is `*` alone.
fn field(text: &str) -> (String, Option<&str>, bool) {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            ':' => return (value, Some(&text[at + 1..]), &text[..at] == "*"),
            '\\' => value.push(letters.next().map_or('\\', |(_, letter)| letter)),
            _ => value.push(letter),
        }
    }
    (value, None, text == "*")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::os::unix::fs::PermissionsExt;

    const ENTRY: Entry<'static> = Entry { host: "db", port: 5432, database: "jobs", user: "u" };

    #[test]
    fn the_first_line_that_fits() {
        for (text, password) in [
            ("db:5432:jobs:u:right\n", Some("right")),
            ("# db:5432:jobs:u:wrong\nother:5432:jobs:u:wrong\n*:*:*:*:right\ndb:5432:jobs:u:late", Some("right")),
            ("db:5432:jobs:u:a\\:b\\\\c:ignored", Some("a:b\\c")),
            ("db:5433:jobs:u:wrong\r\ndb:5432:jobs:u:right\r\n", Some("right")),
            ("d\\b:5432:jobs:u:right", Some("right")),
            ("\\*:5432:jobs:u:wrong", None),
            ("db:5432:jobs:u", None),
            ("db:5432:jobs:u:", None),
            ("", None),
        ] {
            assert_eq!(find(text, &ENTRY).as_deref(), password, "{text}");
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pgpass");
        assert_eq!(look_up(&path, &ENTRY), Ok(None));
        std::fs::write(&path, "*:*:*:*:hunter2").unwrap();
        for (mode, is_right) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            match look_up(&path, &ENTRY) {
                Ok(password) => assert!(is_right && password.as_deref() == Some("hunter2")),
                Err(wrong) => {
                    assert!(!is_right && wrong.contains("chmod 0600") && !wrong.contains("hunter2"), "{wrong}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "[a-z0-9:*#\\\\\n]{0,60}") {
            let _ = find(&text, &ENTRY);
        }
    }
}
