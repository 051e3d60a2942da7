//! What is left of a run, in words.

use core::fmt::{self, Display};

use crate::buffer::Buffer;
use crate::family::{Blind, Family};

/// Who lives on, or why that cannot be told.
pub(crate) struct Description<'f> {
    pub(crate) family: &'f Family<'static>,
    pub(crate) blind: Option<Blind>,
}

impl Display for Description<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut room = [0; 400];
        let mut text = Buffer::new(&mut room);
        self.family.describe(&mut text);
        f.write_str(core::str::from_utf8(&text).unwrap_or_default())?;
        match self.blind {
            None => Ok(()),
            Some(blind) => write!(f, " that could be found ({blind})"),
        }
    }
}

/// The processes of a run that lives.
pub(crate) struct Others<'f> {
    pub(crate) family: &'f Family<'static>,
    pub(crate) blind: Option<Blind>,
}

impl Display for Others<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut room = [0; 360];
        let mut names = Buffer::new(&mut room);
        self.family.names(&mut names);
        match (self.blind, names.is_empty()) {
            (Some(blind), _) => write!(f, "its other processes cannot be found ({blind})"),
            (None, true) => f.write_str("it has no other process"),
            (None, false) => write!(f, "its other processes: {}", core::str::from_utf8(&names).unwrap_or_default()),
        }
    }
}
