#![warn(unreachable_pub)]

mod inner {
    #[guard]
    pub fn job() {
        println!("job");
    }
}

pub fn all() {
    inner::job();
}
