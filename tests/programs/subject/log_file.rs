//! Lines enough to rotate the log.

use std::io::Write;
use std::time::Duration;

use guard_runtime::locked_pipeline;

use crate::support::{LOCK, LOG, is_to_wait, line, wait_for_go};

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn flood(lines: u64) {
    let mut stdout = std::io::stdout().lock();
    (0..lines).for_each(|number| writeln!(stdout, "{}", line(number)).unwrap());
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn flood_and_record(lines: u64) {
    for number in 0..lines {
        println!("{}", line(number));
    }
    for number in 0..2000 {
        println!("printed {number}");
        log::info!("record {number}");
    }
}

/// Long enough to be looked at.
#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn slow_flood(lines: u64) {
    for number in 0..lines {
        println!("{}", line(number));
        if number % 1000 == 0 {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    std::process::exit(7);
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn flood_on(lines: u64) {
    flood_until_go(lines);
}

#[locked_pipeline(lock = LOCK, log = LOG, max_size = "1GB")]
pub(crate) fn flood_on_in_one_file(lines: u64) {
    flood_until_go(lines);
}

/// At least so many lines, and on until the test has done what it does to the run.
fn flood_until_go(lines: u64) {
    for number in 0.. {
        if number % 1000 == 0 {
            std::thread::sleep(Duration::from_millis(2));
            if number >= lines && !is_to_wait() {
                println!("printed {number} lines");
                std::process::exit(7);
            }
        }
        println!("{}", line(number));
    }
}

#[locked_pipeline(lock = LOCK, log = LOG, max_size = "20KB", backups = 60)]
pub(crate) fn rotations_until_go() {
    while is_to_wait() {
        (0..100).for_each(|number| println!("{}", line(number)));
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[locked_pipeline(lock = LOCK, log = LOG, max_size = "20KB", backups = 60)]
pub(crate) fn rotations(lines: u64) {
    wait_for_go();
    for number in 0..lines {
        println!("{}", line(number));
        if number % 100 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
