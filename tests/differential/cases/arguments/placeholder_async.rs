struct D(&'static str);
impl Drop for D {
    fn drop(&mut self) {
        println!("in drop {}", self.0)
    }
}
struct Job;

impl Job {
    #[guard(lock = "run-{tenant}-{n}.lock")]
    async fn run(&mut self, tenant: &str, mut n: u8, _: D) -> Result<u8, std::num::ParseIntError> {
        n += tenant.parse::<u8>()?;
        println!("in run");
        Ok(n)
    }
}

fn main() {
    println!("out {:?}", futures::executor::block_on(Job.run("7", 1, D("d"))));
    println!("out {:?}", futures::executor::block_on(Job.run("seven", 1, D("e"))));
}
