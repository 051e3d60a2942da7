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
    let close = move || drop(b);
    println!("in body");
    close();
    2
}

fn main() {
    println!("out {}", job(D("a"), D("b")));
}
