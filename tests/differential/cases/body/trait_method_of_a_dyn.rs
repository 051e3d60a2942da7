trait Job {
    fn run(self: Box<Self>, numbers: &mut dyn Iterator<Item = u8>) -> u8;
}

struct S;

impl Job for S {
    #[guard]
    fn run(self: Box<Self>, numbers: &mut dyn Iterator<Item = u8>) -> u8 {
        println!("in run");
        numbers.sum()
    }
}

fn main() {
    let job: Box<dyn Job> = Box::new(S);
    println!("out {}", job.run(&mut (1..4)));
}
