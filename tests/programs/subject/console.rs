//! Children that live on and hold the streams open.

use std::process::Command;

use guard_runtime::locked_pipeline;

use crate::support::{LOCK, LOG, SHELL_WAIT, line, shell, wait_for_go};

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn flood_background(lines: u64) {
    shell(&format!("({SHELL_WAIT}) &"));
    (0..lines).for_each(|number| println!("{}", line(number)));
}

/// A child that lives on and prints as fast as it can.
#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn flooding_child() {
    shell(&format!("yes & ({SHELL_WAIT}; kill $!) &"));
    println!("main is done");
}

/// A silent child that lives on and holds one of the two streams open: 1 for standard output, 2 for standard error.
#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn child_on_one_stream(number: u64) {
    shell(&format!("({SHELL_WAIT}) {}>/dev/null &", 3 - number));
    println!("out");
    eprintln!("err");
}

/// A child makes its standard streams non-blocking, as ssh(1), node and asyncio do: that holds for whoever shares the open
/// file. Then this process prints, then a child.
#[locked_pipeline(lock = LOCK, log = LOG, max_size = "1GB")]
pub(crate) fn beside_a_non_blocking_child(lines: u64) {
    let child = Command::new(std::env::current_exe().unwrap()).arg("set_non_blocking").status().unwrap();
    assert!(child.success());
    (0..lines).for_each(|number| println!("{}", line(number)));
    shell(&format!("seq -f 'child %.0f' 1 {lines}"));
}

/// The same once the test says so.
#[locked_pipeline(lock = LOCK, log = LOG, max_size = "1GB")]
pub(crate) fn non_blocking_child_after_go(lines: u64) {
    wait_for_go();
    shell(&format!("{} set_non_blocking", std::env::current_exe().unwrap().display()));
    (0..lines).for_each(|number| println!("{}", line(number)));
}

pub(crate) fn set_non_blocking() {
    for descriptor in [1, 2] {
        // SAFETY: flags of streams that stay open.
        unsafe {
            let flags = libc::fcntl(descriptor, libc::F_GETFL);
            assert_eq!(libc::fcntl(descriptor, libc::F_SETFL, flags | libc::O_NONBLOCK), 0);
        }
    }
}

/// So many lines, and a last one when the test says so.
#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn few_lines_then_go(lines: u64) {
    (0..lines).for_each(|number| println!("{}", line(number)));
    wait_for_go();
    println!("thank you");
}
