//! A lock beyond one machine: held by a server as long as a connection to it lives, and watched while it is held.
//!
//! Nothing here knows which server. What a server's [`Session`] does: open, try the lock, name its holder, give a sign of
//! life, give the lock back. By its end, however it comes, the server frees the lock; of a silent one, no sooner than 4/3
//! of the time that `open` was told.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use guard_collector::Blocked;

use super::clock::Time;
use super::end_process::{kill, terminate};
use super::kill_timer::KillTimer;
use super::lost::{self, lock_lost};
pub(crate) use super::postgres::Session;
use super::postgres::{cut, stirs_until};
use crate::descriptor::Descriptor;

/// Between two tries for a held lock.
const POLL: Duration = Duration::from_millis(250);
/// A holder that has just died: the server may not have noticed yet.
const SECOND_TRY: Duration = Duration::from_millis(100);
/// Between two looks whether another thread has let go.
const PAUSE: Duration = Duration::from_millis(1);
const WATCHER_STACK: usize = 128 * 1024;
/// The server's answer to the release is waited for no longer; without one the connection is cut, which releases too.
const LONGEST_RELEASE: Duration = Duration::from_secs(10);

/// What becomes of a run whose cluster lock is lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLockLost {
    /// It is ended: SIGTERM at once, SIGKILL before another run can have the lock of a connection that went silent.
    #[default]
    Stop,
    /// The log says so, and [`lock_lost`] is true. The rest is the program's.
    Tell,
}

/// Who holds a cluster lock, as the server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterHolder {
    /// As it has named itself: `guard NAME pid N on HOST`.
    pub name: String,
    /// Its address; none over a Unix socket, or where the server does not show it to others.
    pub address: Option<String>,
    /// When it connected: RFC 3339, UTC; none where the server does not show it to others.
    pub since: Option<String>,
    /// How long ago that was by the server's clock.
    pub age: Option<Duration>,
}

/// A cluster lock that another run holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClusterContention {
    /// The lock's name.
    pub name: String,
    /// The server.
    pub place: String,
    /// None where it let go while it was looked for.
    pub holder: Option<ClusterHolder>,
}

impl fmt::Display for ClusterContention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, place, holder } = self;
        write!(f, "the cluster lock `{name}` ({place}) is held by ")?;
        let Some(ClusterHolder { name, address, since, age }) = holder else {
            return f.write_str("an unknown session");
        };
        write!(f, "`{name}`")?;
        if let Some(address) = address {
            write!(f, " at {address}")?;
        }
        if let (Some(since), Some(age)) = (since, age) {
            write!(f, ", connected {since}, {:.3}s ago", age.as_secs_f64())?;
        }
        Ok(())
    }
}

/// Why a cluster lock could not be had.
#[derive(Debug)]
pub(crate) enum ClusterError {
    Held(ClusterContention),
    /// A text for the user, without secrets.
    Unusable(String),
}

/// What to lock, and how.
pub(crate) struct Wanted<'a> {
    /// For the server's module to read; may hold a password.
    pub(crate) connection: &'a str,
    pub(crate) name: &'a str,
    /// How long the connection may be silent.
    pub(crate) silence: Duration,
    pub(crate) on_lost: OnLockLost,
    /// Until when a held lock is tried for.
    pub(crate) patience: Option<Time>,
}

/// The name of a lock: what stands behind `#`, and the connection without it.
///
/// # Errors
/// A text without a part of the connection.
pub(crate) fn split_name(connection: &str) -> Result<(&str, Option<&str>), String> {
    let Some((connection, name)) = connection.split_once('#') else { return Ok((connection, None)) };
    // Percent-encoding stays as it is: placeholders are filled in with it.
    let is_right = |byte: u8| byte.is_ascii_alphanumeric() || b"._-%".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_right) {
        return Err(
            "behind `#` stands the lock's name, of letters, digits and `._-%`; in a password write `#` as %23".into()
        );
    }
    Ok((connection, Some(name)))
}

/// A held lock, and the thread that watches it. Given back when it is dropped; in a forked child the drop does nothing.
pub(crate) struct ClusterLock {
    watch: Arc<Watch>,
    watcher: Option<JoinHandle<()>>,
    /// The server, for messages.
    place: String,
    pid: u32,
}

/// What the holder and its watcher share.
struct Watch {
    session: Mutex<Session>,
    socket: Arc<Descriptor>,
    timer: Option<KillTimer>,
    state: AtomicU8,
    silence: Duration,
    on_lost: OnLockLost,
    name: String,
    tell: fn(&str, bool),
}

/// The function runs, and must not without the lock.
const GUARDED: u8 = 0;
/// The function has returned: a loss is no reason any more to end anything.
const RETURNED: u8 = 1;
/// The lock is being given back: the session is nobody else's.
const RELEASED: u8 = 2;

impl ClusterLock {
    /// Takes the lock and starts to watch it. `announce` is called once, before a wait; `tell` when the lock
    /// is lost, on the watcher's thread, with the reason and whether the run is ended for it.
    pub(crate) fn acquire(
        wanted: &Wanted<'_>,
        announce: impl FnOnce(&ClusterContention),
        tell: fn(&str, bool),
    ) -> Result<Self, ClusterError> {
        lost::forget();
        let Wanted { connection, name, silence, on_lost, .. } = *wanted;
        let unusable = |what| ClusterError::Unusable(format!("cannot take the cluster lock `{name}`: {what}"));
        let timer = (on_lost == OnLockLost::Stop).then(KillTimer::new).transpose().map_err(unusable)?;
        let mut session = Session::open(connection, name, silence).map_err(unusable)?;
        let sent = take(&mut session, wanted, announce)?;
        let (socket, place) = (session.socket(), session.place());
        let (session, name) = (Mutex::new(session), name.to_owned());
        let watch = Watch { session, socket, timer, state: AtomicU8::new(GUARDED), silence, on_lost, name, tell };
        let mut lock = Self { watch: Arc::new(watch), watcher: None, place, pid: std::process::id() };
        lock.watch.extend(sent);
        // The new thread takes the mask over: no handler of the user's ever runs there.
        let blocked = Blocked::all();
        let watch = lock.watch.clone();
        let watcher = std::thread::Builder::new().name("guard-lock".into()).stack_size(WATCHER_STACK);
        let watcher = watcher.spawn(move || watch.watch(sent));
        drop(blocked);
        let unusable = |error| format!("cannot take the cluster lock: no thread to watch it can be had: {error}");
        lock.watcher = Some(watcher.map_err(|error| ClusterError::Unusable(unusable(error)))?);
        Ok(lock)
    }

    /// From SIGTERM to SIGKILL once it is lost.
    pub(crate) fn grace(&self) -> Duration {
        self.watch.grace()
    }

    /// When the kernel ends a run that cannot end itself, as the helpers see it.
    pub(crate) fn kill_at(&self) -> Option<&'static AtomicU64> {
        self.watch.timer.as_ref().and_then(KillTimer::told)
    }

    /// For the log: the lock's name and where it is.
    pub(crate) fn shown(&self) -> String {
        format!("cluster lock `{}` ({})", self.watch.name, self.place)
    }

    /// The function has returned: from here on a loss ends nothing.
    pub(crate) fn returned(&self) {
        if self.pid == std::process::id() {
            self.watch.state.store(RETURNED, Ordering::Release);
            if let Some(timer) = &self.watch.timer {
                timer.unset();
            }
        }
    }
}

impl ClusterLock {
    /// As the process ends by exit(3), perhaps in a signal handler: the server sees the end of the connection. Takes and frees
    /// no memory.
    pub(crate) fn release_at_exit(&self) {
        if self.pid == std::process::id() {
            self.returned();
            self.watch.state.store(RELEASED, Ordering::Release);
            cut(&self.watch.socket);
        }
    }
}

impl Drop for ClusterLock {
    fn drop(&mut self) {
        if self.pid != std::process::id() {
            return;
        }
        self.returned();
        self.watch.state.store(RELEASED, Ordering::Release);
        let deadline = Time::now() + (self.watch.silence / 5).min(LONGEST_RELEASE);
        loop {
            // The watcher may be in the middle of a heartbeat that nobody answers.
            match self.watch.session.try_lock() {
                Ok(mut session) if !lock_lost() => break session.release(deadline),
                Err(std::sync::TryLockError::WouldBlock) if !deadline.left().is_zero() => std::thread::sleep(PAUSE),
                _ => break cut(&self.watch.socket),
            }
        }
        while self.watcher.as_ref().is_some_and(|watcher| !watcher.is_finished()) && !deadline.left().is_zero() {
            std::thread::sleep(PAUSE);
        }
        lost::forget();
    }
}

/// Tries until it is had or the patience is over. Returns when the answer that counts was asked for.
fn take(
    session: &mut Session,
    wanted: &Wanted<'_>,
    announce: impl FnOnce(&ClusterContention),
) -> Result<Time, ClusterError> {
    let Wanted { name, silence, patience, .. } = *wanted;
    let place = session.place();
    let unusable = |what| ClusterError::Unusable(format!("cannot take the cluster lock `{name}`: {place}: {what}"));
    let (mut announce, mut is_first) = (Some(announce), true);
    loop {
        let sent = Time::now();
        if session.try_lock(sent + silence).map_err(unusable)? {
            return Ok(sent);
        }
        if std::mem::take(&mut is_first) {
            std::thread::sleep(SECOND_TRY);
            continue;
        }
        let left = patience.map(Time::left).unwrap_or_default();
        if left.is_zero() || announce.is_some() {
            let holder = session.holder(Time::now() + silence).map_err(unusable)?;
            let contention = ClusterContention { name: name.into(), place: place.clone(), holder };
            if left.is_zero() {
                return Err(ClusterError::Held(contention));
            }
            if let Some(announce) = announce.take() {
                announce(&contention);
            }
        }
        std::thread::sleep(left.min(POLL));
    }
}

impl Watch {
    /// From when the lock counts as lost to the end of all that belongs to the run.
    fn grace(&self) -> Duration {
        self.silence / 3
    }

    fn is(&self, state: u8) -> bool {
        self.state.load(Ordering::Acquire) == state
    }

    /// When a lock that was good then counts as lost.
    fn limit(&self, good: Time) -> Time {
        good + self.silence * 2 / 3
    }

    /// The server was there then.
    fn extend(&self, good: Time) {
        lost::note_due(self.limit(good));
        self.keep_until(good + self.silence);
    }

    fn keep_until(&self, then: Time) {
        if let Some(timer) = &self.timer {
            timer.set(then);
            // Between the look and the setting the function may have returned.
            if !self.is(GUARDED) {
                timer.unset();
            }
        }
    }

    /// The watcher: asks for a sign of life every fifth of the silence that is allowed, from when the last one that came
    /// was asked for.
    fn watch(&self, mut good: Time) {
        if let Some(timer) = &self.timer {
            timer.be_heard_here();
        }
        loop {
            let result = self.quiet_until(good + self.silence / 5).and_then(|()| self.heartbeat(good));
            match result {
                _ if self.is(RELEASED) => return,
                Ok(sent) => {
                    good = sent;
                    self.extend(good);
                }
                Err(reason) => return self.lose(&reason, good),
            }
        }
    }

    /// Waits, and notices an end of the connection at once.
    fn quiet_until(&self, then: Time) -> Result<(), String> {
        while !self.is(RELEASED) && !then.left().is_zero() {
            // A number that leads elsewhere by now may be readable all the time.
            if !self.socket.is_ours() || stirs_until(&self.socket, then) {
                let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
                if !self.is(RELEASED) {
                    session.take_news()?;
                }
            }
        }
        Ok(())
    }

    fn heartbeat(&self, good: Time) -> Result<Time, String> {
        let mut session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is(RELEASED) {
            return Ok(good);
        }
        let (sent, limit) = (Time::now(), self.limit(good));
        if !limit.left().is_zero() {
            session.heartbeat(limit)?;
        }
        // Once `lock_lost` has said so the lock stays lost.
        if limit.left().is_zero() {
            return Err("this process or the machine stood still for longer than the connection may be silent".into());
        }
        Ok(sent)
    }

    /// The session stays: its end would free the lock at once, and the run still acts.
    fn lose(&self, reason: &str, good: Time) {
        lost::note();
        let name = &self.name;
        let consequence = match (self.on_lost, self.is(GUARDED)) {
            (OnLockLost::Stop, true) => "the run is ended (on_lock_lost = \"stop\")",
            (OnLockLost::Tell, true) => "the run goes on (on_lock_lost = \"tell\")",
            (_, false) => "the run's function has returned before",
        };
        let told = format!("the cluster lock `{name}` is lost: {reason}; another run may hold it; {consequence}");
        if self.on_lost == OnLockLost::Tell || !self.is(GUARDED) {
            return (self.tell)(&told, false);
        }
        // As long as for a silent connection: from the time that it counts as lost to the end.
        let last = (Time::now() + self.grace()).min(good + self.silence);
        self.keep_until(last);
        (self.tell)(&told, true);
        if self.is(GUARDED) {
            terminate();
        }
        while self.is(GUARDED) {
            if last.left().is_zero() {
                kill();
            }
            std::thread::sleep(last.left().min(POLL));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(split_name("x://h/d"), Ok(("x://h/d", None)));
        assert_eq!(split_name("x://h/d?a=b#nightly-%C3%A9"), Ok(("x://h/d?a=b", Some("nightly-%C3%A9"))));
        for connection in ["x://u:hunter2#x@h/d", "x://h/d#", "x://h/d#a b", "x://h/d#a#b", "x://u:p#hunter2/x@h"] {
            let wrong = split_name(connection).unwrap_err();
            assert!(!wrong.contains("hunter2") && wrong.contains("%23"), "{wrong}");
        }
    }
}
