#![allow(unused_variables)]
struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}

struct S(D, #[allow(dead_code)] D);

impl S {
    #[guard]
    fn job(self: Box<Self>, _a: D, b: D, _c: D) {
        println!("in body");
        
    }
}

fn main() {
    S::job(Box::new(S(D("s0"), D("s1"))), D("a"), D("b"), D("c"));
    println!("out after");
}
