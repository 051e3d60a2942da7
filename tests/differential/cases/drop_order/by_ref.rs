#![allow(unused_variables)]
struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}

#[guard]
fn job(ref a: D, b: D) {
    let _local = D("local");
    println!("in body {}", a.0);
}

fn main() {
    job(D("a"), D("b"));
    println!("out after");
}
