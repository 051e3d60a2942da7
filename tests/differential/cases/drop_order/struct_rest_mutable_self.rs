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

struct S(D, #[allow(dead_code)] D);

impl S {
    #[guard]
    fn job(mut self, P { a, .. }: P, c: D) {
        println!("in body");
        self.1 = D("new");
    }
}

fn main() {
    S::job(S(D("s0"), D("s1")), P { a: D("a"), b: D("b") }, D("c"));
    println!("out after");
}
