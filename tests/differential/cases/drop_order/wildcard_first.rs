#![allow(unused_variables)]
struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}

#[guard]
fn job(_: D, b: D) {
    let _local = D("local");
    println!("in body");
}

fn main() {
    job(D("a"), D("b"));
    println!("out after");
}
