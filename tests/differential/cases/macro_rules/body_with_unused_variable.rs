macro_rules! job {
    ($body:block) => {
        #[guard]
        fn job() $body
    };
}

job!({
    let unused = 1;
    println!("in job");
});

fn main() {
    job();
}
