struct S(Vec<u8>);

impl S {
    #[guard]
    fn job(&mut self, number: &u8) -> Option<&mut u8> {
        println!("in job");
        self.0.push(*number);
        self.0.last_mut()
    }
}

fn main() {
    let mut s = S(vec![]);
    *s.job(&1).unwrap() += 1;
    println!("out {:?}", s.0);
}
