macro_rules! job {
    ($runtime:path) => {
        #[guard(crate = $runtime)]
        fn job() {
            println!("in job");
        }
    };
}

job!(::guard_runtime);

fn main() {
    job();
}
