//! No lint fires inside the expansion: this file is a test target too, so that clippy sees it.
#![deny(warnings, clippy::pedantic)]
#![forbid(unsafe_code)]
#![no_implicit_prelude]

use ::guard_runtime::locked_pipeline;

struct Job(u8);

impl Job {
    #[locked_pipeline(lock = "target/strict/run.lock", log = "target/strict/run.log", wait = "60s")]
    async fn run(&self) -> ::std::result::Result<u8, ::std::string::String> {
        ::tokio::task::yield_now().await;
        ::std::result::Result::Ok(self.0)
    }
}

fn job() -> u8 {
    let runtime = ::tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(Job(7).run()).unwrap_or(0)
}

#[locked_pipeline(
    lock = "target/strict/run.lock",
    log = "target/strict/run.log",
    wait = "60s",
    backups = 3,
    level = "warn",
    max_size = "1MB"
)]
fn guarded() -> ::std::process::ExitCode {
    ::std::process::ExitCode::SUCCESS
}

fn main() -> ::std::process::ExitCode {
    if job() == 7 { guarded() } else { ::std::process::ExitCode::FAILURE }
}
