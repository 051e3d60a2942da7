#![allow(dead_code)]

mod core {}
mod std {}
mod alloc {}
mod guard {}

#[guard]
fn main() {
    println!("in main");
}
