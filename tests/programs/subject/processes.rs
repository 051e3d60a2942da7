//! Children, forks, and descriptors that are closed or pointed elsewhere.

use std::fs::File;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use guard_runtime::locked_pipeline;

use crate::support::{
    LOCK, LOG, SHELL_WAIT, close_all_from_three, directory, fork_child, shell, wait_for_go, wait_for_stdin,
};

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn wait_loop() {
    let children: Vec<_> = (0..3).map(|_| Command::new("true").spawn().unwrap()).collect();
    let mut reaped = 0;
    // SAFETY: no status is asked for.
    while unsafe { libc::wait(std::ptr::null_mut()) } > 0 {
        reaped += 1;
    }
    println!("reaped {reaped}");
    drop(children);
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn child_descriptors() {
    Command::new("ls").arg("/proc/self/fd").status().unwrap();
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn redirect() {
    println!("before");
    let file = File::create(directory().join("own")).unwrap();
    // SAFETY: user code pointing its standard descriptors elsewhere.
    unsafe {
        libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&file), 1);
        libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&file), 2);
    }
    println!("mine");
    log::info!("record");
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn close() {
    println!("before");
    // SAFETY: user code closing its standard descriptors; the file then gets the number 1.
    unsafe {
        libc::close(1);
        libc::close(2);
    }
    let file = File::create(directory().join("own")).unwrap();
    println!("mine");
    log::info!("record");
    drop(file);
}

/// As a daemon does it that wants to start clean.
#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn close_from() {
    println!("before");
    close_all_from_three();
    println!("after");
    std::process::exit(5);
}

/// A child without exec that outlives the run, logs, drops the guard's copy and exits.
#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn forked_child() {
    println!("before the fork");
    fork_child(|| {
        println!("from the child");
        wait_for_go();
        println!("still there");
        0
    });
}

#[locked_pipeline(lock = LOCK, log = LOG)]
fn counted(number: u64) {
    println!("run {number}");
}

/// Many runs in one process whose threads allocate and free all the time.
pub(crate) fn many(runs: u64) {
    for _ in 0..16 {
        std::thread::spawn(|| {
            let mut kept = Vec::new();
            for size in (1..).map(|n: usize| n.wrapping_mul(7919) % 60_000) {
                kept.push(vec![0_u8; size]);
                if kept.len() > 20 {
                    kept.clear();
                    std::thread::sleep(Duration::from_micros(20));
                }
            }
        });
    }
    // The least of several looks: a thread that starts has a file of the C library's open for a moment (get_nprocs(3)).
    let descriptors = || {
        let look = |_| {
            std::thread::sleep(Duration::from_millis(1));
            std::fs::read_dir("/proc/self/fd").unwrap().count()
        };
        (0..20).map(look).min().unwrap()
    };
    let before = descriptors();
    (0..runs).for_each(counted);
    println!("{} descriptors more", descriptors() - before);
    let task =
        Command::new("ps").args(["--no-headers", "-o", "stat", "--ppid", &std::process::id().to_string()]).output();
    let children = String::from_utf8(task.unwrap().stdout).unwrap();
    println!("{} zombies", children.lines().filter(|state| state.starts_with('Z')).count());
}

/// Closes what it does not know, opens files of its own under the same numbers, and forks.
#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn close_from_fork() {
    let directory = directory();
    close_all_from_three();
    let files: Vec<_> = (0..40).map(|number| File::create(directory.join(format!("own{number}"))).unwrap()).collect();
    let child = fork_child(|| i32::from(!files.iter().all(|mut file| file.write_all(b"mine").is_ok())));
    let mut status = 0;
    // SAFETY: waits for the child forked above.
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    println!("the child's status is {status}");
}

/// Runs whose helpers outlive them, in a process that goes on: later runs reap them.
pub(crate) fn lingering() {
    let go = directory().join("go");
    crate::console::flood_background(1);
    std::fs::write(go, "").unwrap();
    let zombies = || {
        let pid = std::process::id().to_string();
        let output = Command::new("ps").args(["--no-headers", "-o", "comm,stat", "--ppid", &pid]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().filter(|line| line.contains("guard-")).count()
    };
    for _ in 0..500 {
        crate::locking::nothing();
        if zombies() == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    println!("{} helpers are left", zombies());
}

/// What is in this process's memory before the run, in pieces of every size and on another thread's stack, but not in the
/// program's file.
pub(crate) fn secrets() {
    let secret = || (0..20_u8).map(|number| char::from(b'A' + number * 7 % 26)).collect::<String>();
    let kept: Vec<String> = (0..2_000).map(|count| secret().repeat(1 + count % 50)).collect();
    let large = secret().repeat(100_000);
    let (told, wait) = std::sync::mpsc::channel::<()>();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let mut on_stack = [0_u8; 200];
        on_stack[..20].copy_from_slice(secret().as_bytes());
        ready.send(()).unwrap();
        let _ = wait.recv();
        std::hint::black_box(&on_stack);
    });
    is_ready.recv().unwrap();
    crate::locking::hold(0);
    drop(told);
    thread.join().unwrap();
    std::hint::black_box((kept, large));
}

/// Every descriptor from three on is the user's, also where a record's way has been.
#[locked_pipeline(lock = LOCK, log = LOG)]
#[allow(unsafe_code)]
pub(crate) fn records_among_own_files() {
    let directory = directory();
    log::info!("record before");
    close_all_from_three();
    let create = |number| File::create(directory.join(format!("own{number}"))).unwrap();
    let files: Vec<_> = (0..120).map(create).collect();
    let everywhere = create(120);
    for number in 200..5000 {
        // SAFETY: what has such a number has none of its own any more.
        unsafe { libc::dup2(std::os::fd::AsRawFd::as_raw_fd(&everywhere), number) };
    }
    log::info!("record");
    println!("printed");
    drop(files);
}

#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn first_child_is_pid_1() {
    shell("echo child $$");
}

#[locked_pipeline(lock = LOCK, log = LOG)]
#[allow(unsafe_code)]
pub(crate) fn unshared_inside() {
    // SAFETY: a namespace for this process's future children.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0);
    shell("echo child $$");
}

/// A child that lives on after the run has ended, which the test says.
#[locked_pipeline(lock = LOCK, log = LOG)]
pub(crate) fn hold_with_child() {
    shell(&format!("({SHELL_WAIT}) &"));
    println!("held");
    wait_for_stdin();
}

/// On a small stack: of 64 KiB, start and helpers of a build without optimisation take nearly all.
pub(crate) fn on_small_stack() {
    let thread = std::thread::Builder::new().stack_size(128 * 1024).spawn(crate::input::prompt);
    thread.unwrap().join().unwrap();
}
