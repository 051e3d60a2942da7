macro_rules! job {
    ($returned:ty) => {
        #[guard]
        fn job() -> $returned {
            println!("in job");
            |text| text.len()
        }
    };
}

job!(impl Fn(&str) -> usize);

fn main() {
    println!("out {}", job()("abc"));
}
