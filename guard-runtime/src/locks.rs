//! The locks of a run: this machine's, and the cluster's.

use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

#[cfg(feature = "postgres")]
use guard_collector::protocol::Severity;

use crate::config::Config;
use crate::error::StartError;
#[cfg(feature = "postgres")]
use crate::lock::clock::Time;
#[cfg(feature = "postgres")]
use crate::lock::cluster::{ClusterContention, ClusterError, ClusterLock, Wanted};
use crate::lock::{Contention, LockError, PipelineLock};
#[cfg(feature = "postgres")]
use crate::logger;

/// What a run holds: this machine's lock, and the cluster's.
pub(crate) struct Locks {
    /// Given back first: the fields of a value are dropped in their order.
    #[cfg(feature = "postgres")]
    cluster: Option<ClusterLock>,
    local: PipelineLock,
}

impl Locks {
    /// Both locks, the machine's first: of the runs of one machine one goes to the server.
    pub(crate) fn acquire(config: &Config, path: &Path) -> Result<Self, StartError> {
        #[cfg(feature = "postgres")]
        let (place, patience) =
            (config.cluster.place(path, &config.arguments)?, config.wait.map(|wait| Time::now() + wait));
        let local = acquire_local(config, path)?;
        Ok(Self {
            #[cfg(feature = "postgres")]
            cluster: place.map(|place| acquire_in_cluster(config, &local, &place, patience)).transpose()?,
            local,
        })
    }

    /// The function has returned.
    #[cfg_attr(not(feature = "postgres"), expect(clippy::unused_self, reason = "a local lock does not mind"))]
    pub(crate) fn returned(&self) {
        #[cfg(feature = "postgres")]
        if let Some(cluster) = &self.cluster {
            cluster.returned();
        }
    }

    /// How long the run's processes have from SIGTERM to SIGKILL once the cluster lock is lost.
    #[cfg_attr(not(feature = "postgres"), expect(clippy::unused_self, reason = "a local lock is never lost"))]
    pub(crate) fn loss_grace(&self) -> Duration {
        #[cfg(feature = "postgres")]
        if let Some(cluster) = &self.cluster {
            return cluster.grace();
        }
        Duration::ZERO
    }

    /// When the kernel ends a run that cannot end itself though its cluster lock is lost: microseconds since the boot, in memory
    /// that the helpers share; 0 where it is not set.
    #[cfg_attr(not(feature = "postgres"), expect(clippy::unused_self, reason = "a local lock is never lost"))]
    pub(crate) fn kill_at(&self) -> Option<&'static AtomicU64> {
        #[cfg(feature = "postgres")]
        if let Some(cluster) = &self.cluster {
            return cluster.kill_at();
        }
        None
    }

    /// The machine's.
    pub(crate) fn local(&self) -> &PipelineLock {
        &self.local
    }

    /// The log has it that the run before was lost.
    pub(crate) fn forget_predecessor(&mut self) {
        self.local.forget_predecessor();
    }

    /// Gives them back as the process ends by exit(3), perhaps in a signal handler: takes and frees no memory.
    pub(crate) fn release_at_exit(&self) {
        #[cfg(feature = "postgres")]
        if let Some(cluster) = &self.cluster {
            cluster.release_at_exit();
        }
        self.local.release();
    }

    /// For the log.
    pub(crate) fn shown(&self) -> String {
        let local = format!("lock {}", self.local.path().display());
        #[cfg(feature = "postgres")]
        if let Some(cluster) = &self.cluster {
            return format!("{local}, {}", cluster.shown());
        }
        local
    }
}

fn announce_wait(config: &Config, contention: &impl Display, patience: impl Display) {
    if config.tells_of_skips() {
        let text = format!("{contention}; waiting up to {patience} for it\n");
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

fn acquire_local(config: &Config, path: &Path) -> Result<PipelineLock, StartError> {
    let announce = |contention: &Contention| {
        let patience = config.wait.unwrap_or_default();
        announce_wait(config, contention, format_args!("{patience:?}"));
    };
    let result = match config.wait {
        None => PipelineLock::acquire(path),
        Some(patience) => PipelineLock::acquire_within(path, patience, announce),
    };
    result.map_err(|error| match (error, config.stuck_after) {
        (LockError::Held(contention), Some(limit))
            if contention.holder.as_ref().is_some_and(|holder| holder.age > limit && holder.waits_for.is_none()) =>
        {
            StartError::Stuck { contention, limit }
        }
        (LockError::Held(contention), _) => StartError::Held { contention, exit_code: config.conflict_exit_code },
        (LockError::Unusable(unusable), _) => StartError::Lock(unusable),
    })
}

#[cfg(feature = "postgres")]
fn acquire_in_cluster(
    config: &Config,
    local: &PipelineLock,
    (connection, name): &(String, String),
    patience: Option<Time>,
) -> Result<ClusterLock, StartError> {
    let mut waited_from = None;
    let announce = |contention: &ClusterContention| {
        waited_from = Some(local.tell_waiting(&format!("the cluster lock `{name}`")));
        let patience = patience.map(Time::left).unwrap_or_default();
        announce_wait(config, contention, format_args!("{:.0}s", patience.as_secs_f64()));
    };
    let tell = |text: &str, ends_run| {
        if ends_run { logger::last_note(text) } else { logger::note(Severity::Error, text) }
    };
    let (silence, on_lost) = (config.cluster.timeout, config.cluster.on_lost);
    let wanted = Wanted { connection, name, silence, on_lost, patience };
    let result = ClusterLock::acquire(&wanted, announce, tell);
    if let Some(length) = waited_from {
        local.tell_no_more(length);
    }
    result.map_err(|error| match error {
        ClusterError::Held(contention) => {
            let age = contention.holder.as_ref().and_then(|holder| holder.age);
            let longer_than = config.stuck_after.filter(|limit| age.is_some_and(|age| age > *limit));
            StartError::HeldInCluster { contention, longer_than, exit_code: config.conflict_exit_code }
        }
        ClusterError::Unusable(what) => StartError::Cluster { what },
    })
}
