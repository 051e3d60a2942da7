#![allow(unused_variables)]
struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}

#[guard]
fn job(a: impl Sized, _b: impl Sized, c: D) {
    let _local = D("local");
    println!("in body");
}

fn main() {
    job(D("a"), D("b"), D("c"));
    println!("out after");
}
