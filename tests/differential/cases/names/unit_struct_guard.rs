#![allow(non_camel_case_types, dead_code)]

struct guard;
struct value;
enum outcome { start }
use outcome::start;

#[guard]
fn job() {
    println!("in job");
    let _ = (guard, value, start);
}

fn main() {
    job();
}
