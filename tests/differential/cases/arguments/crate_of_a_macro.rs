#![allow(dead_code, unused_imports)]
mod vendored {
    pub use guard_runtime as runtime;
}

macro_rules! job {
    ($name:ident) => {
        #[guard(crate = $crate::vendored::runtime)]
        fn $name() {
            println!("in job");
        }
    };
}

job!(job);

fn main() {
    job();
}
