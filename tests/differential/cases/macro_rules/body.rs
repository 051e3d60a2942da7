macro_rules! job {
    ($body:block) => {
        #[guard]
        fn job() $body
    };
}

job!({
    println!("in job");
});

fn main() {
    job();
}
