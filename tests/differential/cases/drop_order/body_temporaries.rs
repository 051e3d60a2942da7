//@ edition: 2024
#![allow(unused_variables)]
struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}
#[guard]
fn job(a: D, b: D) -> u8 {
    match D("temporary").0.len() {
        9 => println!("in body"),
        _ => unreachable!(),
    }
    a.0.len() as u8
}

fn main() {
    println!("out {}", job(D("a"), D("b")));
}
