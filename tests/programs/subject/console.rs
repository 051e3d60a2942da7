//! Children that live on and hold the streams open.

use guard_runtime::locked_pipeline;

use crate::support::{LOCK, LOG, SHELL_WAIT, line, shell};

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
