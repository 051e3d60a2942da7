pub trait Job {
    fn run(&self);
}

pub struct S;

impl Job for S {
    #[guard]
    fn go(&self) {}
}
