//! PostgreSQL as the engine of a cluster lock: a session's advisory lock, which the server releases when the session's
//! connection ends.

mod connection;
mod login;
mod md5;
mod message;
mod password;
mod password_file;
mod session;
mod tls;
mod url;

pub(super) use connection::{cut, stirs_until};
pub(crate) use session::Session;
