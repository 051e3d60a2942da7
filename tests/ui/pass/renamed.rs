//! The runtime under another name.
#![deny(warnings)]

mod vendored {
    pub use guard_runtime as guard;
}

#[vendored::guard::locked_pipeline(lock = "renamed.lock", log = "renamed.log", level = "warn", crate = crate::vendored::guard)]
fn main() {}
