trait Pin {
    fn pin(self) -> Self;
    fn finish(self);
    fn start(&self);
}

impl<T> Pin for T {
    fn pin(self) -> Self {
        self
    }
    fn finish(self) {}
    fn start(&self) {}
}

#[guard]
fn job() -> u8 {
    println!("in job");
    7.finish();
    7.start();
    7.pin()
}

fn main() {
    println!("out {}", job());
}
