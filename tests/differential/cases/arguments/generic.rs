#![allow(dead_code, unused_imports)]
trait Named {
    const LOCK: &'static str;
}

struct S;

impl Named for S {
    const LOCK: &'static str = "s.lock";
}

#[guard(lock = T::LOCK, backups = N)]
fn job<T: Named, const N: u16>() {
    println!("in job");
}

fn main() {
    job::<S, 3>();
}
