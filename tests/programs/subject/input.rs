//! Bytes of every shape.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Command;

use guard_runtime::locked_pipeline;

use crate::support::{LOCK, LOG, wait_for_go};

/// What comes in goes out.
#[locked_pipeline(lock = LOCK, log = LOG, max_size = "200MB")]
pub(crate) fn copy() {
    let (mut buffer, mut stdout) = (vec![0; 50_000], unbuffered_stdout());
    loop {
        match std::io::stdin().read(&mut buffer).unwrap() {
            0 => return,
            count => stdout.write_all(&buffer[..count]).unwrap(),
        }
    }
}

fn unbuffered_stdout() -> File {
    let descriptor = std::os::fd::AsFd::as_fd(&std::io::stdout()).try_clone_to_owned();
    descriptor.unwrap().into()
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn prompt() {
    print!("name? ");
    std::io::stdout().flush().unwrap();
    log::info!("asked");
    wait_for_go();
    println!("thank you");
}

/// Children that write 64 KiB at once, which the kernel tears, around records, which it does not.
#[locked_pipeline(lock = LOCK, log = LOG, max_size = "200MB", console_level = "off")]
pub(crate) fn writers(rounds: u64) {
    let program = std::env::current_exe().unwrap();
    let child = |_| Command::new(&program).args(["blocks", &rounds.to_string()]).spawn().unwrap();
    let children: Vec<_> = (0..3).map(child).collect();
    (0..rounds).for_each(|number| log::info!("{number} {}", "r".repeat(4000)));
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
}

/// What `writers` starts.
pub(crate) fn blocks(rounds: u64) {
    let block = vec![b'b'; 65_536];
    (0..rounds).for_each(|_| unbuffered_stdout().write_all(&block).unwrap());
}
