#![allow(dead_code, unused_imports)]
const LOCK: &str = concat!("a", ".lock");
const SIZE: u64 = 4_096;
const TEXT: &str = "4KiB";

mod settings {
    pub const BACKUPS: u16 = 2 + 1;
    pub static LEVEL: &str = "debug";
}

#[guard(lock = LOCK, max_size = SIZE, backups = settings::BACKUPS)]
fn one() {
    println!("in one");
}

#[guard(max_size = TEXT, wait = concat!("30", "s"), logger = !false, backups = if true { 3 } else { 4 })]
fn two() {
    println!("in two");
}

#[guard(max_size = 4 * 1024 * 1024, level = settings::LEVEL, conflict_exit_code = u8::MAX)]
fn three() {
    println!("in three");
}

fn main() {
    one();
    two();
    three();
}
