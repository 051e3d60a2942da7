struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}
#[guard(lock = "run-{tenant}-{n}.lock", status = "{tenant}.json")]
fn job(tenant: String, n: u8, _d: D) -> String {
    println!("in job {tenant} {n}");
    let moved = tenant;
    moved
}

fn main() {
    println!("out {}", job("a/b".into(), 7, D("d")));
}
