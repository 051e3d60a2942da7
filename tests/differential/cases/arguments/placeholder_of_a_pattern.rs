struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}
struct Args {
    tenant: &'static str,
    #[allow(dead_code)]
    rest: D,
}

#[guard(lock = "run-{tenant}-{b}-{c}.lock")]
fn job(Args { tenant, .. }: Args, (_, b): (D, u8), &c: &u8) -> usize {
    println!("in job");
    tenant.len() + usize::from(b + c)
}

fn main() {
    println!("out {}", job(Args { tenant: "a", rest: D("rest") }, (D("d"), 1), &2));
}
