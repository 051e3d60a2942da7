//! A session that holds a lock: what is asked of the server, and what its answers mean.

use std::sync::Arc;
use std::time::Duration;

use ring::digest::{SHA256, digest};

use super::connection::{Connection, cut};
use super::login::log_in;
use super::message::{self, Message, ServerError};
use super::url::{self, Settings};
use crate::descriptor::Descriptor;
use crate::lock::clock::Time;
use crate::lock::cluster::ClusterHolder;

/// PostgreSQL keeps so many bytes of an application's name.
const LONGEST_NAME: usize = 63;

pub(crate) struct Session {
    connection: Connection,
    /// The server's process of this session.
    backend: u32,
    key: i64,
    /// The server, for messages.
    place: String,
    /// What it has said unasked, at last.
    last_words: Option<String>,
}

impl Session {
    /// The server that a URL names, for messages. No connection is made.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn server_of(url: &str) -> Result<String, String> {
        Ok(shown(&url::parse(url, |name| std::env::var(name).ok(), login_name)?.to_string()))
    }

    /// Connects, logs in, looks whom it has got, and has the server notice a silent connection after 4/3 of `silence`
    /// at the earliest.
    ///
    /// # Errors
    /// A text in which no part of the URL stands that could be a password's.
    pub(crate) fn open(url: &str, name: &str, silence: Duration) -> Result<Self, String> {
        let settings = url::parse(url, |name| std::env::var(name).ok(), login_name)?;
        let place = settings.to_string();
        Self::open_at(&settings, name, silence).map_err(|error| format!("{}: {error}", shown(&place)))
    }

    fn open_at(settings: &Settings, name: &str, silence: Duration) -> Result<Self, String> {
        let deadline = Time::now() + settings.connect_timeout.unwrap_or(silence);
        let mut connection =
            Connection::open(settings, deadline).map_err(|error| format!("cannot connect: {error}"))?;
        let backend = log_in(&mut connection, settings, &application_name(name), deadline)?;
        let (key, place) = (key(name), settings.to_string());
        let mut session = Self { connection, backend, key, place, last_words: None };
        session.look_whom_we_have_got(deadline)?;
        session.set(silence, deadline)?;
        Ok(session)
    }

    /// For whoever waits for the end of it, or has to end it.
    pub(crate) fn socket(&self) -> Arc<Descriptor> {
        self.connection.socket()
    }

    /// The server, for messages.
    pub(crate) fn place(&self) -> String {
        shown(&self.place)
    }

    /// Before anything is set: behind a pooler the session is another client's in a moment.
    fn look_whom_we_have_got(&mut self, deadline: Time) -> Result<(), String> {
        let row = self.ask("SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery()", deadline)?;
        if row.first().cloned().flatten() != Some(self.backend.to_string()) {
            return Err(
                "a connection pooler answers there, and gives the session that would hold the lock to others: \
                        name the server itself"
                    .into(),
            );
        }
        match row.get(1).cloned().flatten().as_deref() {
            Some("f") => Ok(()),
            _ => Err("it is a standby, whose locks lock nobody out on the primary: name the primary".into()),
        }
    }

    /// Whatever of these the server knows: a release that lacks one has nothing to switch off, or notices a dead
    /// connection later.
    fn set(&mut self, silence: Duration, deadline: Time) -> Result<(), String> {
        let limit = silence * 4 / 3;
        // Linux takes no more than 127 probes, and no more seconds than 32,767 (tcp(7)).
        let interval = (limit.as_secs() / 60).clamp(1, 32_767);
        let settings = [
            ("tcp_keepalives_idle", (silence.as_secs() / 3).clamp(1, 32_767)),
            ("tcp_keepalives_interval", interval),
            // Where there is no tcp_user_timeout these alone have to last as long.
            ("tcp_keepalives_count", limit.as_secs() / interval + 1),
            ("tcp_user_timeout", limit.as_millis().min(i32::MAX as u128) as u64),
            ("statement_timeout", 0),
            ("lock_timeout", 0),
            ("idle_session_timeout", 0),
            ("idle_in_transaction_session_timeout", 0),
            ("transaction_timeout", 0),
        ];
        let values: Vec<String> = settings.iter().map(|(name, value)| format!("('{name}', '{value}')")).collect();
        let sql = format!(
            "SELECT pg_catalog.count(pg_catalog.set_config(name, value, false)) FROM (VALUES {}) AS wanted (name, value) \
             WHERE pg_catalog.current_setting(name, true) IS NOT NULL",
            values.join(", ")
        );
        self.ask(&sql, deadline).map(drop)
    }

    /// Tries for the lock; once the server says that it is had, looks whether this very process has it.
    pub(crate) fn try_lock(&mut self, deadline: Time) -> Result<bool, String> {
        let key = self.key;
        let row = self.ask(&format!("SELECT pg_catalog.pg_try_advisory_lock('{key}'::bigint)"), deadline)?;
        if row.first().cloned().flatten().as_deref() != Some("t") {
            return Ok(false);
        }
        let sql = format!("SELECT pg_catalog.count(*) FROM {} AND pid = pg_catalog.pg_backend_pid()", self.lock_row());
        let row = self.ask(&sql, deadline)?;
        match row.first().cloned().flatten().as_deref() {
            Some("1") => Ok(true),
            _ => {
                Err("the server gave the lock, but does not list it: something between gives sessions to others".into())
            }
        }
    }

    /// The rows of `pg_locks` for the lock while somebody has it.
    fn lock_row(&self) -> String {
        let (high, low) = (self.key as u64 >> 32, self.key as u64 & 0xffff_ffff);
        format!(
            "pg_catalog.pg_locks AS held WHERE locktype = 'advisory' AND classid = {high} AND objid = {low} AND objsubid = 1 \
             AND granted AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = \
             pg_catalog.current_database())"
        )
    }

    /// Who has it; none where nobody does by now. Of another role's session PostgreSQL shows the name alone.
    pub(crate) fn holder(&mut self, deadline: Time) -> Result<Option<ClusterHolder>, String> {
        let sql = format!(
            "SELECT application_name, pg_catalog.host(client_addr), \
             pg_catalog.to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), \
             pg_catalog.floor(extract(epoch FROM pg_catalog.clock_timestamp() - backend_start) * 1000)::bigint \
             FROM {} AND held.pid <> pg_catalog.pg_backend_pid()",
            self.lock_row().replacen("held WHERE", "held JOIN pg_catalog.pg_stat_activity USING (pid) WHERE", 1)
        );
        let row = self.ask(&sql, deadline)?;
        let mut columns = row.into_iter();
        let Some(name) = columns.next() else { return Ok(None) };
        let mut next = || columns.next().flatten().filter(|text| !text.is_empty());
        let (address, since) = (next(), next());
        let age = next().and_then(|text| text.parse().ok()).map(Duration::from_millis);
        Ok(Some(ClusterHolder { name: name.unwrap_or_default(), address, since, age }))
    }

    /// Asks for a sign of life.
    pub(crate) fn heartbeat(&mut self, deadline: Time) -> Result<(), String> {
        let row = self.ask("SELECT pg_catalog.pg_backend_pid()", deadline)?;
        if row.first().cloned().flatten() == Some(self.backend.to_string()) {
            Ok(())
        } else {
            Err("another session answers than the one that holds the lock".into())
        }
    }

    /// Takes what came unasked.
    ///
    /// # Errors
    /// The server's last words, where it has ended the session.
    pub(crate) fn take_news(&mut self) -> Result<(), String> {
        loop {
            match self.connection.next_now() {
                Ok(None) => return Ok(()),
                // An error that answers nothing ends the session.
                Ok(Some(Message::Error(error))) => return Err(format!("the server ended the session: {error}")),
                Ok(Some(Message::Notice(notice))) => self.take_notice(&notice),
                Ok(Some(_)) => {}
                Err(closed) => return Err(self.last_words.take().unwrap_or(closed)),
            }
        }
    }

    /// A server that stops at once sends its reason as a warning. Others, such as that of another collation, end nothing.
    fn take_notice(&mut self, notice: &ServerError) {
        // Operator intervention (PostgreSQL, appendix A).
        if notice.code.starts_with("57") {
            self.last_words = Some(format!("the server ended the session: {notice}"));
        }
    }

    /// Gives the lock back and says farewell. Whatever goes wrong, the end of the connection gives it back too.
    pub(crate) fn release(&mut self, deadline: Time) {
        let _ = self.ask(&format!("SELECT pg_catalog.pg_advisory_unlock('{}'::bigint)", self.key), deadline);
        let _ = self.connection.send(&message::terminate(), deadline);
        cut(&self.socket());
    }

    /// The first row of a query's answer; empty where it has none.
    fn ask(&mut self, sql: &str, deadline: Time) -> Result<Vec<Option<String>>, String> {
        self.connection.send(&message::query(sql), deadline)?;
        let (mut first, mut refusal) = (None, None);
        loop {
            match self.connection.next(deadline) {
                Ok(Message::Row(row)) => drop(first.get_or_insert(row)),
                Ok(Message::Error(error)) => refusal = Some(format!("the server refused: {error}")),
                Ok(Message::Ready) => return refusal.map_or(Ok(first.unwrap_or_default()), Err),
                Ok(Message::Notice(notice)) => self.take_notice(&notice),
                Ok(_) => {}
                // Its last words say more than that it closed the connection.
                Err(closed) => return Err(refusal.or_else(|| self.last_words.take()).unwrap_or(closed)),
            }
        }
    }
}

/// The lock's number: two names never have the same by accident.
fn key(name: &str) -> i64 {
    let hash = digest(&SHA256, format!("guard:{name}").as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_ref()[..8]);
    i64::from_be_bytes(first)
}

/// The lock's name, the process and the host, of which a long one is cut: the process is what one looks for.
fn application_name(name: &str) -> String {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    name_of(name, std::process::id(), &host)
}

fn name_of(name: &str, pid: u32, host: &str) -> String {
    let ascii = |text: &str| text.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '?' }).collect();
    let (mut name, mut host): (String, String) = (ascii(name), ascii(host));
    let frame = format!("guard  pid {pid} on ").len();
    host.truncate((LONGEST_NAME - frame).saturating_sub(name.len()).max(20));
    name.truncate((LONGEST_NAME - frame).saturating_sub(host.len()));
    format!("guard {name} pid {pid} on {host}")
}

fn shown(place: &str) -> String {
    format!("PostgreSQL at {place}")
}

/// The system's name of the user, as libpq takes it.
#[allow(unsafe_code)]
fn login_name() -> Option<String> {
    let mut entry = std::mem::MaybeUninit::<libc::passwd>::uninit();
    let mut buffer = vec![0; 16 * 1024];
    let mut found = std::ptr::null_mut();
    // SAFETY: entry and buffer live as long as what is read of them, and the length is the buffer's.
    unsafe {
        libc::getpwuid_r(libc::geteuid(), entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &raw mut found);
        let entry = found.as_ref()?;
        std::ffi::CStr::from_ptr(entry.pw_name).to_str().ok().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf guard:nightly | sha256sum`
    #[test]
    fn a_key_is_the_start_of_a_hash() {
        assert_eq!(format!("{:016x}", key("nightly")), "53cdf6541a33638e");
        assert_ne!(key("nightly"), key("Nightly"));
    }

    #[test]
    fn an_applications_name_keeps_the_process() {
        assert_eq!(name_of("nightly", 7, "db.example"), "guard nightly pid 7 on db.example");
        assert_eq!(name_of("é\n", 7, "h"), "guard ?? pid 7 on h");
        for (name, host) in [(200, 5), (5, 200), (200, 200), (0, 300)] {
            let name = name_of(&"n".repeat(name), 4_194_304, &"h".repeat(host));
            assert!(name.len() <= LONGEST_NAME && name.contains(" pid 4194304 on h"), "{name}");
        }
    }
}
