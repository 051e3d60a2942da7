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
    fn job(mut self, a: D, b: D) {
        println!("in body");
        self.1 = D("new");
    }
}

fn main() {
    S::job(S(D("s0"), D("s1")), D("a"), D("b"));
    println!("out after");
}
