trait Job {
    fn name(&self) -> String;

    #[guard]
    fn run(&self) -> usize {
        println!("in run {}", self.name());
        self.name().len()
    }
}

struct S;

impl Job for S {
    fn name(&self) -> String {
        "s".into()
    }
}

fn main() {
    println!("out {}", S.run());
}
