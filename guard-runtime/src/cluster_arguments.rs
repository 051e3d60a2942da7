//! The attribute's arguments `cluster_lock`, `cluster_timeout` and `on_lock_lost`: read by the compiler, handed to the
//! builder. Without the feature `postgres` each is a compile error that names it.
#![allow(missing_docs, clippy::missing_panics_doc, reason = "called by the attribute's expansion alone")]

#[cfg(feature = "postgres")]
mod with_feature {
    use std::time::Duration;

    use crate::Config;
    use crate::cluster_config::check_cluster_timeout;
    pub use crate::lock::cluster::OnLockLost;
    use crate::parse::{parse_duration, path_template};

    pub type ClusterTimeout = Duration;

    /// Checks the template of `cluster_lock`. No message repeats a part of it.
    ///
    /// ```compile_fail,E0080
    /// const _: &str = guard_runtime::__private::cluster_lock("${DATABASE_URL");
    /// ```
    #[track_caller]
    pub const fn cluster_lock(template: &'static str) -> &'static str {
        match path_template::check_parts(template) {
            Ok(()) => template,
            Err(wrong) => panic!("{}", wrong),
        }
    }

    /// Reads `cluster_timeout`.
    ///
    /// ```compile_fail,E0080
    /// const _: std::time::Duration = guard_runtime::__private::cluster_timeout("2999ms");
    /// ```
    #[track_caller]
    pub const fn cluster_timeout(text: &str) -> Duration {
        let silence = match parse_duration(text) {
            Ok(silence) => silence,
            Err(wrong) => panic!("{}", wrong.message()),
        };
        match check_cluster_timeout(silence) {
            Ok(()) => silence,
            Err(wrong) => panic!("{}", wrong),
        }
    }

    /// Reads `on_lock_lost`.
    ///
    /// ```compile_fail,E0080
    /// const _: guard_runtime::OnLockLost = guard_runtime::__private::on_lock_lost("panic");
    /// ```
    #[track_caller]
    pub const fn on_lock_lost(text: &str) -> OnLockLost {
        match text.as_bytes() {
            b"stop" => OnLockLost::Stop,
            b"tell" => OnLockLost::Tell,
            _ => panic!("not a choice: write \"stop\" or \"tell\""),
        }
    }

    pub fn with_cluster_lock(config: Config, template: &'static str) -> Config {
        config.cluster_lock(template)
    }

    pub fn with_cluster_timeout(config: Config, silence: Duration) -> Config {
        config.cluster_timeout(silence)
    }

    pub fn with_on_lock_lost(config: Config, what: OnLockLost) -> Config {
        config.on_lock_lost(what)
    }
}

#[cfg(feature = "postgres")]
pub use with_feature::*;

/// The constants fail when they are evaluated, so what follows them never runs.
#[cfg(not(feature = "postgres"))]
mod without_feature {
    use crate::Config;

    pub type ClusterTimeout = ();
    pub type OnLockLost = ();

    const NEEDED: &str = "a cluster lock needs the feature `postgres` of guard-runtime: write \
                          guard-runtime = { version = \"0.1\", features = [\"postgres\"] } in Cargo.toml";

    #[track_caller]
    pub const fn cluster_lock(_: &'static str) -> &'static str {
        panic!("{}", NEEDED)
    }

    #[track_caller]
    pub const fn cluster_timeout(_: &str) {
        panic!("{}", NEEDED)
    }

    #[track_caller]
    pub const fn on_lock_lost(_: &str) {
        panic!("{}", NEEDED)
    }

    pub fn with_cluster_lock(config: Config, _: &'static str) -> Config {
        config
    }

    pub fn with_cluster_timeout(config: Config, (): ()) -> Config {
        config
    }

    pub fn with_on_lock_lost(config: Config, (): ()) -> Config {
        config
    }
}

#[cfg(not(feature = "postgres"))]
pub use without_feature::*;
