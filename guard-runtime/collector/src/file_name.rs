//! A file's name, without a directory, ended by a NUL for the kernel.

use core::ffi::CStr;
use core::fmt::Write;
use core::ops::Deref;

use crate::buffer::Buffer;

/// The longest name that a file can have (`NAME_MAX` of limits.h, everywhere).
pub const NAME_MAX: usize = 255;

/// A name of at most [`NAME_MAX`] bytes, or that of a backup.
pub(crate) struct FileName([u8; NAME_MAX + ".4294967295\0".len()]);

impl FileName {
    /// `None` where it is too long, or has a NUL in it.
    pub(crate) fn new(name: &[u8]) -> Option<Self> {
        if name.len() > NAME_MAX || name.contains(&0) {
            return None;
        }
        let mut bytes = [0; _];
        Buffer::new(&mut bytes).extend(name);
        Some(Self(bytes))
    }

    /// `LOG.7`.
    pub(crate) fn numbered(&self, number: u32) -> Self {
        let mut bytes = [0; _];
        let mut name = Buffer::new(&mut bytes);
        name.extend(self.to_bytes());
        let _ = write!(name, ".{number}");
        Self(bytes)
    }
}

impl Deref for FileName {
    type Target = CStr;

    fn deref(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.0).unwrap_or_default()
    }
}
