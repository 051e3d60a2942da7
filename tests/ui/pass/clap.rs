//! Arguments parsed before the lock: `--help` never waits.
#![deny(warnings)]

use clap::Parser;
use guard_runtime::locked_pipeline;

#[derive(Parser)]
struct Args {
    #[arg(default_value = "7")]
    number: u8,
}

#[locked_pipeline(lock = "clap.lock", log = "clap.log", wait = "5s", stuck_after = "1h")]
fn run(Args { number }: Args) -> anyhow::Result<u8> {
    anyhow::ensure!(number > 0, "nothing");
    Ok(number)
}

fn main() -> anyhow::Result<()> {
    assert_eq!(run(Args::parse())?, 7);
    Ok(())
}
