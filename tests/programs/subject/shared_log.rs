//! Logs that runs share.

use std::io::Write;
use std::process::Command;

use guard_runtime::locked_pipeline;

use crate::support::{LOCK, LOG, is_to_wait, shell, wait_for_go};

#[locked_pipeline(lock = "${SUBJECT_DIR}/${NAME:-x}.lock", log = LOG, max_size = "1MB", backups = 400)]
pub(crate) fn shared_log(lines: u64) {
    let name = std::env::var("NAME").unwrap();
    (0..lines).for_each(|number| println!("{name} {number}"));
}

#[locked_pipeline(lock = "${SUBJECT_DIR}/${NAME:-x}.lock", log = LOG, max_size = "1MB", backups = 400)]
pub(crate) fn shared_log_until_go(lines: u64) {
    let name = std::env::var("NAME").unwrap();
    let mut number = 0;
    while number < lines || is_to_wait() {
        println!("{name} {number}");
        number += 1;
    }
    println!("printed {number} lines");
}

/// A child prints on into this run's collector when the run has ended.
#[locked_pipeline(lock = "${SUBJECT_DIR}/lingering.lock", log = LOG, max_size = "1MB", backups = 400)]
pub(crate) fn lingering_log(lines: u64) {
    // Line by line, for the next run's lines stand between them.
    shell(&format!("stdbuf -oL seq -f 'child %.0f' 0 {} &", lines - 1));
}

/// The same with a child that writes a block at a time, as programs do whose output is no terminal.
#[locked_pipeline(lock = LOCK, log = LOG, max_size = "1MB", backups = 400)]
pub(crate) fn lingering_log_until_go(lines: u64) {
    shell(&format!("seq -f 'child %.0f' 0 {} &", lines - 1));
    wait_for_go();
}

#[locked_pipeline(lock = "${SUBJECT_DIR}/${NAME:-x}.lock", log = LOG, max_size = "100KB", backups = 999)]
pub(crate) fn small_shared_log(lines: u64) {
    print_wide_lines(lines);
}

#[locked_pipeline(lock = "${SUBJECT_DIR}/${NAME:-x}.lock", log = LOG, max_size = "5MB", backups = 999)]
pub(crate) fn wide_shared_log(lines: u64) {
    print_wide_lines(lines);
}

/// As fast as can be.
fn print_wide_lines(lines: u64) {
    let (name, wide) = (std::env::var("NAME").unwrap(), "x".repeat(400));
    let mut stdout = std::io::BufWriter::new(std::io::stdout().lock());
    (0..lines).for_each(|number| writeln!(stdout, "{name} {number} {wide}").unwrap());
}

#[locked_pipeline(lock = "${SUBJECT_DIR}/${NAME:-x}.lock", log = LOG, max_size = "1MB", backups = 400)]
pub(crate) fn shared_log_with_child(lines: u64) {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["shared_log", &lines.to_string()]).env("NAME", "child");
    assert!(child.status().unwrap().success());
    (0..lines).for_each(|number| println!("parent {number}"));
}
