//! A pipeline that is mostly child processes: what they print is in the log, in order, with no pipe of yours.
//!
//! `cargo run --example wrap_child` makes a backup of the example data and checks it. The log is `logs/backup.log`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use guard_runtime::locked_pipeline;

const ARCHIVE: &str = "logs/data.tar.gz";
const NEW: &str = "logs/data.new.tar.gz";

#[locked_pipeline(lock = "logs/backup.lock", log = "logs/backup.log", backups = 30)]
fn main() -> Result<()> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    run(Command::new("tar").arg("-C").arg(&examples).args(["-czvf", NEW, "data"]))?;
    run(Command::new("gzip").args(["--test", "--verbose", NEW]))?;
    // GNU tar says where archive and files differ, if they do.
    run(Command::new("tar").arg("-C").arg(&examples).args(["--compare", "-zf", NEW]))?;
    // Only then does it take the place of the last good one.
    std::fs::rename(NEW, ARCHIVE)?;
    log::info!("{ARCHIVE}: {} bytes", std::fs::metadata(ARCHIVE)?.len());
    Ok(())
}

fn run(command: &mut Command) -> Result<()> {
    println!("+ {command:?}");
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}
