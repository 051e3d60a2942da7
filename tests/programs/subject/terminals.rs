//! What looks different on a terminal.

use std::process::Command;
use std::sync::atomic::Ordering;
use std::time::Duration;

use guard_runtime::locked_pipeline;

use crate::support::{LOCK, LOG, SIGNALS, counters, directory, line, shell, start_signal_storm};

/// What a person sees: colours where there is a terminal, a progress bar on standard error, a child's output.
pub(crate) fn show_bare() {
    use std::io::IsTerminal;
    let (stdout, stderr) = (std::io::stdout().is_terminal(), std::io::stderr().is_terminal());
    println!("stdout {stdout}, stderr {stderr}");
    let (red, reset) = if stdout { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
    println!("{red}red{reset} and not\ttab");
    // So few draws that none is left out for having come too soon.
    let bar = indicatif::ProgressBar::new(8);
    (0..8).for_each(|_| bar.inc(1));
    bar.finish_and_clear();
    eprintln!("{red}warning{reset}");
    let child = "[ -t 1 ]; echo child: stdout $?; [ -t 2 ]; echo child: stderr $? >&2; stty size <&1 || echo none";
    Command::new("sh").args(["-c", child]).stdin(std::process::Stdio::null()).status().unwrap();
    print!("no newline");
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn show() {
    show_bare();
}

fn terminal_size() -> (u16, u16) {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the size is written.
    unsafe { libc::ioctl(1, libc::TIOCGWINSZ, &raw mut size) };
    (size.ws_row, size.ws_col)
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn sizes() {
    sizes_bare();
}

/// Prints the terminal's size, and again on each SIGWINCH, until told to end.
pub(crate) fn sizes_bare() {
    extern "C" fn resized(_: libc::c_int) {
        SIGNALS.fetch_add(1, Ordering::SeqCst);
    }
    // SAFETY: the handler adds to an atomic.
    unsafe { libc::signal(libc::SIGWINCH, resized as *const () as usize) };
    let directory = directory();
    let mut told = u64::MAX;
    while !directory.join("go").exists() {
        let signals = SIGNALS.load(Ordering::SeqCst);
        if signals != told {
            told = signals;
            println!("{:?}", terminal_size());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Records about and above the size of a frame, from four threads, in a storm of signals.
#[locked_pipeline(lock = LOCK, log = LOG, max_size = "10GB", console_level = "off")]
pub(crate) fn signalled_records(rounds: u64) {
    start_signal_storm();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for round in 0..rounds {
                    let length = [4040, 4096, 5000, 9000][round as usize % 4];
                    log::info!("{thread} {round} {}", "r".repeat(length));
                }
            });
        }
    });
    println!("{} signals", SIGNALS.load(Ordering::Relaxed));
}

/// No backup goes before the test kills it, however late that is.
#[locked_pipeline(lock = LOCK, log = LOG, backups = 400)]
pub(crate) fn records() {
    let counter = &counters()[0];
    for number in 0.. {
        log::info!("{}", line(number));
        counter.store(number + 1, Ordering::SeqCst);
    }
}

/// A script that has the terminal for itself, then records and printed lines.
#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn script() {
    shell(&std::env::var("SCRIPT").unwrap());
    for number in 0..50 {
        log::info!("record {number}\nof two lines");
        println!("printed {number}");
    }
}

/// A child in the foreground that follows the terminal's size.
#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn sizes_of_child() {
    let child = Command::new(std::env::current_exe().unwrap()).arg("sizes_bare").status().unwrap();
    assert!(child.success());
}
