struct S(u8);

macro_rules! method {
    ($self:ident, $name:ident, $body:block) => {
        #[guard]
        fn $name(&$self) -> u8 $body
    };
}

impl S {
    method!(self, job, {
        println!("in job");
        self.0
    });
}

fn main() {
    println!("out {}", S(3).job());
}
