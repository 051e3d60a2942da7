//! The expansion sees none of the user's names, and the user's code none of its.
#![no_implicit_prelude]
#![forbid(unsafe_code)]
#![deny(warnings)]

#[allow(dead_code)]
struct Ok;
#[allow(dead_code)]
enum Result {}
#[allow(dead_code)]
mod std {}
#[allow(dead_code)]
mod core {}

#[::guard_runtime::locked_pipeline(lock = "hygiene.lock", log = "hygiene.log", level = "warn")]
fn main() {
    let guard = 1;
    let value = guard + 1;
    let _ = value;
}
