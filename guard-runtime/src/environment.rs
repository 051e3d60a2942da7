//! The environment as a helper can hand it on: packed into bytes before the fork, for execve(2) after it; and the
//! program's name.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// `NAME=value` and a NUL each. Variables named `GUARD_…` are left out: they are a hook's own, and what an outer run's
/// hook was told must not be taken for this one's verdict.
pub(crate) fn packed(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in variables {
        if !name.as_bytes().starts_with(b"GUARD_") {
            for part in [name.as_bytes(), b"=", value.as_bytes(), b"\0"] {
                bytes.extend_from_slice(part);
            }
        }
    }
    bytes
}

/// The program's file name, as it was called; empty where it was called without one.
pub(crate) fn program_name() -> OsString {
    let program = PathBuf::from(std::env::args_os().next().unwrap_or_default());
    program.file_name().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn any_bytes_and_no_variable_of_a_hook() {
        let text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        let variables = [
            (text(b"PATH"), text(b"/bin")),
            (text(b"GUARD_STATE"), text(b"killed")),
            (text(b"GUARD"), text(b"")),
            (text(b"X"), text(b"a=b\n\xff")),
        ];
        assert_eq!(packed(variables), b"PATH=/bin\0GUARD=\0X=a=b\n\xff\0");
        assert_eq!(packed([]), b"");
    }
}
