pub trait Job {
    fn run(&self, number: u8) -> u8;
}

pub struct S;

impl Job for S {
    #[guard]
    fn run(&self, number: u16) -> u8 {
        number as u8
    }
}
