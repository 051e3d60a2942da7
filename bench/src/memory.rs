//! What a run costs a process that holds much memory, beside a bare fork whose child exits at once.
//!
//! `bench memory [MEGABYTES]…` measures each size in processes of their own.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use guard_runtime::Config;

/// What is measured, one number a line from the process that holds the memory.
const COLUMNS: [&str; 5] = ["start, ms", "first rewrite, ms", "rewrite after, ms", "available, MB less", "helpers, MB"];

/// `memory`, or `memory-bare MB` and `memory-guarded MB` in a process of their own.
pub(crate) fn run(arguments: &[String]) -> bool {
    let size = |at: usize| arguments.get(at).and_then(|size| size.parse::<usize>().ok());
    match arguments.first().map(String::as_str) {
        Some("memory") => compare(&arguments[1..]),
        Some("memory-bare") => hold(size(1).expect("a size"), bare_fork),
        Some("memory-guarded") => hold(size(1).expect("a size"), guarded),
        _ => return false,
    }
    true
}

fn compare(sizes: &[String]) {
    let default = ["10", "500", "2000", "8000"].map(str::to_owned);
    println!("{:8} {:10} {}", "MB", "", COLUMNS.join(" | "));
    for size in if sizes.is_empty() { &default[..] } else { sizes } {
        let measure = |mode: &str| -> Vec<f64> {
            let output = Command::new(std::env::current_exe().expect("this program")).args([mode, size]).output();
            let text = String::from_utf8(output.expect("it starts").stderr).expect("numbers");
            text.lines().filter_map(|line| line.parse().ok()).collect()
        };
        // The middle one of three, each in a fresh process.
        let median = |mode: &str| -> Vec<f64> {
            let rounds = [0; 3].map(|_| measure(mode));
            let middle = |column: usize| {
                let mut values = rounds.each_ref().map(|round| round[column]);
                values.sort_by(f64::total_cmp);
                values[1]
            };
            (0..COLUMNS.len()).map(middle).collect()
        };
        let (bare, guarded) = (median("memory-bare"), median("memory-guarded"));
        let row = |name: &str, values: &[f64]| {
            let values: Vec<String> = values.iter().map(|value| format!("{value:9.2}")).collect();
            println!("{size:8} {name:10} {}", values.join(" | "));
        };
        row("bare fork", &bare);
        row("guard", &guarded);
        println!("{:8} {:10} {:9.2} | {:9.2}", "", "ratio", guarded[0] / bare[0], guarded[1] / bare[1]);
    }
}

/// Half of it in one piece, a quarter in pieces of 1,000 bytes, a quarter on the stacks of threads.
#[allow(clippy::large_stack_arrays, reason = "what is measured")]
fn hold(megabytes: usize, start: fn() -> Box<dyn FnOnce() -> f64>) {
    const STACK: usize = 4_000_000;
    let bytes = megabytes * 1_000_000;
    let mut large = vec![1_u8; bytes / 2];
    let mut small: Vec<Vec<u8>> = (0..bytes / 4000).map(|_| vec![1; 1000]).collect();
    let gate = std::sync::Arc::new(std::sync::Barrier::new(bytes / 4 / STACK + 1));
    let threads: Vec<_> = (0..bytes / 4 / STACK)
        .map(|_| {
            let gate = gate.clone();
            let body = move || {
                let mut stack = [1_u8; STACK];
                gate.wait();
                // The start of the run lies between, and the end of the measurement after.
                gate.wait();
                rewrite(&mut stack);
                gate.wait();
            };
            std::thread::Builder::new().stack_size(STACK + 200_000).spawn(body).expect("a thread")
        })
        .collect();
    gate.wait();
    let before = available();
    let clock = Instant::now();
    let end = start();
    let started = clock.elapsed();
    let less = before - available();
    let mut rewrite_all = || {
        let clock = Instant::now();
        rewrite(&mut large);
        for piece in &mut small {
            rewrite(piece);
        }
        clock.elapsed()
    };
    let first = rewrite_all();
    let second = rewrite_all();
    let helpers = end();
    gate.wait();
    gate.wait();
    for thread in threads {
        thread.join().expect("a thread");
    }
    let millis = |time: Duration| time.as_secs_f64() * 1000.0;
    for number in [millis(started), millis(first), millis(second), less, helpers] {
        eprintln!("{number}");
    }
}

fn rewrite(bytes: &mut [u8]) {
    bytes.iter_mut().step_by(64).for_each(|byte| *byte = byte.wrapping_add(1));
    std::hint::black_box(bytes);
}

#[allow(unsafe_code)]
fn bare_fork() -> Box<dyn FnOnce() -> f64> {
    // SAFETY: the child ends at once, and is waited for.
    unsafe {
        match libc::fork() {
            0 => libc::_exit(0),
            child => assert_eq!(libc::waitpid(child, std::ptr::null_mut(), 0), child),
        }
    }
    Box::new(|| 0.0)
}

/// Returns what gives the resident memory of the greater helper, in megabytes, and ends the run.
fn guarded() -> Box<dyn FnOnce() -> f64> {
    let place = tempfile::tempdir().expect("a temporary directory");
    let [lock, log] = ["run.lock", "run.log"].map(|name| place.path().join(name).display().to_string());
    let guard = Config::new(lock, log).tee(guard_runtime::Tee::Stdout).start().expect("a run");
    Box::new(move || {
        println!("a line, so that the helpers are not idle");
        let most = helpers().into_iter().map(|pid| resident(&pid)).fold(0.0, f64::max);
        drop(guard);
        drop(place);
        most
    })
}

fn helpers() -> Vec<String> {
    let ours = std::process::id().to_string();
    let is_ours = |pid: &String| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .is_some_and(|(name, fields)| name.contains("(guard-") && fields.split(' ').nth(1) == Some(ours.as_str()))
    };
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    processes.map(|entry| entry.file_name().to_string_lossy().into_owned()).filter(is_ours).collect()
}

fn resident(pid: &str) -> f64 {
    kilobytes(&format!("/proc/{pid}/status"), "VmRSS:") / 1000.0
}

fn available() -> f64 {
    kilobytes("/proc/meminfo", "MemAvailable:") / 1000.0
}

fn kilobytes(file: &str, name: &str) -> f64 {
    let text = fs::read_to_string(file).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or(0.0)
}
