#![allow(non_camel_case_types, dead_code)]

struct str;
struct u8;
struct u16;
struct u64;
struct bool;

#[guard(backups = 3, max_size = 4_096, logger = true, conflict_exit_code = 3, wait = "30s", tee = "both")]
fn main() {
    println!("in main");
}
