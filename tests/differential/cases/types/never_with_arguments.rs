struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}
#[guard]
fn job(a: D, _: D) -> ! {
    println!("in job {}", a.0);
    panic!("no way out")
}

fn main() {
    job(D("a"), D("b"))
}
