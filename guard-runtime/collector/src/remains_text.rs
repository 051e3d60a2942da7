//! What is left of a run, in words.

use core::fmt::{self, Display};

use crate::buffer::Buffer;
use crate::family::{Blind, Family};
use crate::remains::Remains;

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
pub(crate) struct Others<'r>(pub(crate) &'r Remains);

impl Display for Others<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut room = [0; 360];
        let mut names = Buffer::new(&mut room);
        self.0.family.names(&mut names);
        match (self.0.found, names.is_empty()) {
            (Err(blind), _) => write!(f, "its other processes cannot be found ({blind})"),
            (Ok(_), true) => f.write_str("it has no other process"),
            (Ok(_), false) => write!(f, "its other processes: {}", core::str::from_utf8(&names).unwrap_or_default()),
        }
    }
}
