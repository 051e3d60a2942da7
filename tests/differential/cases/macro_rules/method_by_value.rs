struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}
struct S(D, D);

macro_rules! method {
    ($self:ident, $body:block) => {
        #[guard]
        fn job($self) $body
    };
}

impl S {
    method!(self, {
        println!("in job {}", self.0.0);
    });
}

fn main() {
    S(D("a"), D("b")).job();
    println!("out after");
}
