struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("out drop {}", self.0)
    }
}
#[guard]
async fn job(a: D, _b: D, _: D) {
    println!("in {}", a.0);
}

fn main() {
    // Made and dropped: no run.
    let future = job(D("a"), D("b"), D("c"));
    println!("out made");
    drop(future);
    println!("out after");
}
