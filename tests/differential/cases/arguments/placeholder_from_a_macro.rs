macro_rules! job {
    ($argument:ident, $lock:literal) => {
        #[guard(lock = $lock)]
        fn job($argument: &str) -> usize {
            println!("in job");
            $argument.len()
        }
    };
}

job!(tenant, "run-{tenant}.lock");

fn main() {
    println!("out {}", job("abc"));
}
