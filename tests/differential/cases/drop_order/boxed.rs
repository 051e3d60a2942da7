#![allow(unused_variables)]
struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}

#[guard]
fn job(a: Box<D>, b: Option<D>) {
    let _local = D("local");
    println!("in body");
}

fn main() {
    job(Box::new(D("a")), Some(D("b")));
    println!("out after");
}
