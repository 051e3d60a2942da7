#![allow(dead_code, unused_imports)]
mod vendored {
    pub use guard_runtime as runtime;
}

#[guard(crate = crate::vendored::runtime)]
fn one() {
    println!("in one");
}

mod inner {
    #[guard(crate = super::vendored::runtime)]
    pub fn two() {
        println!("in two");
    }
}

#[guard(crate = vendored::runtime)]
#[tokio::main]
async fn three() {
    println!("in three");
}

fn main() {
    one();
    inner::two();
    three();
}
