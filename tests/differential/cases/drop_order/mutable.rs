#![allow(unused_variables)]
struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}

#[guard]
fn job(mut a: Vec<D>, b: D) {
    let _local = D("local");
    a.pop();
    println!("in body {}", a.len());
}

fn main() {
    job(vec![D("a1"), D("a2")], D("b"));
    println!("out after");
}
