macro_rules! job {
    ($attribute:meta) => {
        #[$attribute]
        #[guard]
        #[$attribute]
        fn job() {
            println!("in job");
        }
    };
}

job!(inline);

fn main() {
    job();
}
