#![allow(dead_code, unused_imports)]
trait Named {
    const LOCK: &'static str;
    const BACKUPS: u16 = 3;

    #[guard(lock = Self::LOCK, backups = Self::BACKUPS)]
    fn run(&self) {
        println!("in run");
    }
}

struct S;

impl Named for S {
    const LOCK: &'static str = "s.lock";
}

fn main() {
    S.run();
}
