struct S(usize);

impl S {
    #[guard]
    fn job(&self) -> impl Fn(&str) -> usize {
        println!("in job");
        move |text| text.len() + self.0
    }
}

fn main() {
    println!("out {}", S(1).job()("abc"));
}
