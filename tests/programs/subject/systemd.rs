//! What runs as a service: numbered lines without end, from the run and, with `CHILD`, from a child that it has forked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use guard_runtime::locked_pipeline;

use crate::support::{LOCK, LOG, counters, fork_child, line};

/// Waits so many microseconds between lines. No rotation: the test counts all of them.
#[locked_pipeline(lock = LOCK, log = LOG, max_size = "100GB", status = "${SUBJECT_DIR}/status.json")]
pub(crate) fn service(pause: u64) {
    let counters = counters();
    if std::env::var_os("CHILD").is_some() {
        fork_child(|| print_on("child", &counters[1], pause));
    }
    print_on("run", &counters[0], pause);
}

/// One of a thousand: 20 lines, and 2 of a child.
#[locked_pipeline(lock = LOCK, log = LOG, max_size = "100GB")]
pub(crate) fn short() {
    (0..20).for_each(|number| println!("{}", line(number)));
    crate::support::shell("echo child 1; echo child 2 >&2");
}

fn print_on(who: &str, counter: &AtomicU64, pause: u64) -> ! {
    for number in 0.. {
        println!("{who} {}", line(number));
        counter.store(number + 1, Ordering::SeqCst);
        if pause > 0 {
            std::thread::sleep(Duration::from_micros(pause));
        }
    }
    unreachable!("numbers end")
}
