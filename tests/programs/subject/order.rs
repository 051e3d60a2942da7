//! Records, printed lines and children among each other; loggers.

use std::process::Command;
use std::time::Duration;

use guard_runtime::locked_pipeline;

use crate::support::{LOCK, LOG, directory, wait_for_go};

pub(crate) fn mixed(rounds: u64) {
    print_and_log(rounds, false);
}

pub(crate) fn mixed_stderr(rounds: u64) {
    print_and_log(rounds, true);
}

/// Numbers in order over everything that can print.
#[locked_pipeline(lock = LOCK, log = LOG, max_size = "1GB")]
fn print_and_log(rounds: u64, stderr: bool) {
    let mut number = 0;
    let mut next = || {
        number += 1;
        number
    };
    for round in 0..rounds {
        println!("n {}", next());
        log::info!("n {}", next());
        if stderr {
            eprintln!("n {}", next());
        }
        if round % 1000 == 999 {
            Command::new("sh").args(["-c", &format!("echo n {}", next())]).status().unwrap();
        }
    }
}

/// Records about and above the size of a frame, from four threads, among printed lines.
#[locked_pipeline(lock = LOCK, log = LOG, max_size = "1GB", console_level = "off")]
pub(crate) fn long_records(rounds: u64) {
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..rounds {
                    let length = [10, 4030, 4068, 4069, 4096, 9000, 70_000][round as usize % 7];
                    log::info!("{thread} {round} {}", "r".repeat(length));
                    println!("{thread} {round} printed");
                }
            });
        }
    });
}

struct OwnLogger;

impl log::Log for OwnLogger {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        println!("OWN {}", record.args());
    }

    fn flush(&self) {}
}

pub(crate) fn own_logger() {
    log::set_logger(&OwnLogger).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    logs();
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn logs() {
    log::info!("record");
}

#[locked_pipeline(lock = LOCK, log = LOG, tee = "none", level = "warn", console_level = "warn")]
pub(crate) fn no_tee() {
    println!("printed");
    log::info!("quiet");
    log::warn!("loud");
    let _ = std::thread::spawn(|| panic!("unseen")).join();
}

#[locked_pipeline(lock = LOCK, log = LOG, tee = "stdout")]
pub(crate) fn tee_stdout() {
    println!("printed");
    eprintln!("printed elsewhere");
    log::warn!("loud");
    let _ = std::thread::spawn(|| panic!("unseen")).join();
}

struct Chatty;

impl std::fmt::Display for Chatty {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        log::info!("inner");
        f.write_str("chatty")
    }
}

struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        panic!("broken Display")
    }
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn display_logs() {
    log::info!("outer {Chatty}");
    let _ = std::panic::catch_unwind(|| log::info!("{Broken}"));
    log::info!("multi\nline");
    log::info!("after");
}

/// One by one, each a batch of its own.
#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn few_records(number: u64) {
    for number in 0..number {
        println!("printed {number}");
        log::info!("record {number}");
        // The first is there when the test stops the collector.
        wait_for_go();
        std::thread::sleep(Duration::from_millis(1));
    }
    std::fs::write(directory().join("recorded"), "").unwrap();
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn coloured_record() {
    log::warn!("\x1b[1mbold\x1b[0m\nand \x1b[31mred\x1b[0m");
}
