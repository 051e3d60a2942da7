macro_rules! job {
    ($($statement:stmt)*) => {
        #[guard]
        fn job() {
            $($statement)*
        }
    };
}

job!(let number = 1 println!("in job {number}"));

fn main() {
    job();
}
