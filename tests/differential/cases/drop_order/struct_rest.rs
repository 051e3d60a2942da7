#![allow(unused_variables)]
struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}
struct P {
    a: D,
    #[allow(dead_code)]
    b: D,
}

#[guard]
fn job(P { a, .. }: P, c: D) {
    let _local = D("local");
    println!("in body");
}

fn main() {
    job(P { a: D("a"), b: D("b") }, D("c"));
    println!("out after");
}
