//! How texts are read: once, for the compiler (`const`) and at run time alike.

pub(crate) mod path_template;
mod values;

pub(crate) use values::NO_ROOM;
pub use values::{ParseError, parse_duration, parse_level, parse_size};
