//! One program, many tenants: each has a lock, a log and a time limit of its own, so one that hangs holds no other up.
//!
//! `cargo run --example sync -- data examples logs/copies` is a run for the tenant `data`: it copies what is new in
//! `examples/data` to `logs/copies/data`. The log is `logs/data.log`.

use std::fs;
use std::io;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use guard_runtime::locked_pipeline;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [tenant, from, to] = &arguments[..] else {
        eprintln!("usage: sync TENANT FROM TO");
        return ExitCode::from(64);
    };
    match sync(tenant, Path::new(from), Path::new(to)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sync: {error:#}");
            ExitCode::FAILURE
        }
    }
}

// systemd sets these variables (examples/deploy/sync@.service); by hand, the defaults hold. A tenant's name cannot leave the
// directory: in `{tenant}`, `../etc` becomes `..%2Fetc`.
#[locked_pipeline(
    lock = "${RUNTIME_DIRECTORY:-logs}/sync-{tenant}.lock",
    log = "${LOGS_DIRECTORY:-logs}/{tenant}.log",
    status = "${LOGS_DIRECTORY:-logs}/{tenant}.json",
    timeout = "50m",
    console = "on_failure"
)]
fn sync(tenant: &str, from: &Path, to: &Path) -> Result<()> {
    ensure!(!tenant.contains('/') && !tenant.starts_with('.'), "`{tenant}` is no name of a tenant");
    let (from, to) = (from.join(tenant), to.join(tenant));
    fs::create_dir_all(&to).with_context(|| format!("cannot make {}", to.display()))?;
    let (mut copied, mut bytes) = (0, 0);
    for entry in fs::read_dir(&from).with_context(|| format!("cannot read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if !entry.file_type()?.is_file() || is_same(&entry.path(), &target)? {
            continue;
        }
        bytes += copy(&entry.path(), &target).with_context(|| format!("cannot copy {}", entry.path().display()))?;
        println!("{}", target.display());
        copied += 1;
    }
    log::info!("{tenant}: {copied} files copied, {bytes} bytes");
    Ok(())
}

fn is_same(from: &Path, to: &Path) -> io::Result<bool> {
    match fs::read(to) {
        Ok(copy) => Ok(copy == fs::read(from)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The old copy stays until the new one is whole: a run may be killed at any moment.
fn copy(from: &Path, to: &Path) -> io::Result<u64> {
    let mut new = to.as_os_str().to_owned();
    new.push(".new");
    // One that was left by a run that was killed may have the mode of a file that cannot be written.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let bytes = fs::copy(from, &new)?;
    fs::rename(new, to)?;
    Ok(bytes)
}
