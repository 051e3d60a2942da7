macro_rules! job {
    ($returned:ty) => {
        #[guard]
        fn job() -> $returned {
            println!("in job");
            std::process::exit(3)
        }
    };
}

job!(!);

fn main() {
    job();
}
