//! Everything a plain function can be.
#![deny(warnings)]

use std::process::{ExitCode, Termination};

use guard_runtime::locked_pipeline;

const LOCK: &str = concat!("signatures", ".lock");
const SIZE: u64 = 4_096;
const TEXT_SIZE: &str = "4KiB";

#[locked_pipeline(lock = LOCK, log = "a.log")]
fn unit() {}

#[locked_pipeline(lock = LOCK, log = "a.log", max_size = SIZE, backups = 2, level = "debug", conflict_exit_code = 75)]
fn result(fine: bool) -> Result<u8, String> {
    if !fine {
        return Err("not fine".into());
    }
    let number: u8 = "7".parse().map_err(|_| "no number")?;
    Ok(number)
}

struct NoDebug;

#[locked_pipeline(lock = LOCK, log = "a.log", max_size = TEXT_SIZE)]
fn hidden_error() -> Result<(), NoDebug> {
    Err(NoDebug)
}

#[locked_pipeline(lock = LOCK, log = "a.log", console_level = "error")]
fn exit_code() -> ExitCode {
    ExitCode::from(3)
}

#[locked_pipeline(lock = LOCK, log = "a.log", logger = false, tee = "stdout")]
fn termination() -> impl Termination {
    ExitCode::SUCCESS
}

#[locked_pipeline(lock = LOCK, log = "a.log")]
fn result_of_impl() -> Result<impl Iterator<Item = u8>, String> {
    let first: u8 = "1".parse().map_err(|_| "no number")?;
    Ok(first..4)
}

#[locked_pipeline(lock = LOCK, log = "a.log")]
fn generic<T: Clone, const N: usize>(mut items: [T; N], (a, b): (u8, u8), text: &str) -> (Vec<T>, u8)
where
    T: PartialEq,
{
    items.reverse();
    (items.to_vec(), a + b + text.len() as u8)
}

#[locked_pipeline(lock = LOCK, log = "a.log")]
fn borrowed<'a>(one: &'a mut Vec<u8>, _other: impl Into<String>) -> &'a u8 {
    one.push(7);
    &one[0]
}

#[allow(dead_code)]
#[locked_pipeline(lock = LOCK, log = "a.log")]
fn never() -> ! {
    std::process::exit(0)
}

struct Job(u8);

impl Job {
    /// Documented.
    #[locked_pipeline(lock = LOCK, log = "a.log", crate = ::guard_runtime)]
    pub(crate) fn run(&mut self) -> u8 {
        self.0 += 1;
        self.0
    }

    #[locked_pipeline(lock = LOCK, log = "a.log")]
    fn consume(self) -> u8 {
        self.0
    }
}

#[locked_pipeline(lock = LOCK, log = "a.log")]
fn inner_attributes() -> u8 {
    #![allow(unused_variables)]
    let unused = 1;
    2
}

fn main() -> Result<(), String> {
    all()
}

fn all() -> Result<(), String> {
    unit();
    result(true)?;
    let _ = hidden_error();
    exit_code();
    termination();
    assert_eq!(result_of_impl()?.count(), 3);
    generic([1, 2], (1, 2), "three");
    borrowed(&mut vec![1], "x");
    let mut job = Job(1);
    job.run();
    job.consume();
    assert_eq!(inner_attributes(), 2);
    Ok(())
}
