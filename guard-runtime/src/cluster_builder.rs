//! The builder's methods for the cluster lock.

use std::time::Duration;

use crate::config::Config;
use crate::lock::cluster::OnLockLost;

impl Config {
    /// A second lock, beyond this machine: held by PostgreSQL as long as this run's connection to it lives. A template
    /// of a URL by libpq's rules (`"${DATABASE_URL}"`, `postgres://USER@HOST/DATABASE?sslmode=verify-full`), and behind
    /// `#` the lock's name; without, that is the lock file's name without its ending. `$VAR`, `${VAR}`,
    /// `${VAR:-default}` are filled in at the start, `$$` is a dollar. Default: none.
    ///
    /// ```no_run
    /// use guard_runtime::Config;
    /// let config = Config::new("~/.local/state/nightly.lock", "nightly.log").cluster_lock("${DATABASE_URL}#nightly");
    /// ```
    pub fn cluster_lock(mut self, url: impl Into<String>) -> Self {
        self.cluster.lock = Some(url.into());
        self
    }

    /// How long the connection that holds the cluster lock may be silent: 3 s to a day; anything else is an error at the
    /// start. Default: 15 s. The lock counts as lost after 2/3 of it, and the server gives a silent connection up after 4/3.
    pub fn cluster_timeout(mut self, silence: Duration) -> Self {
        self.cluster.timeout = silence;
        self
    }

    /// What becomes of the run when the cluster lock is lost. Default: [`OnLockLost::Stop`].
    pub fn on_lock_lost(mut self, what: OnLockLost) -> Self {
        self.cluster.on_lost = what;
        self
    }
}
