macro_rules! guarded {
    ($($tokens:tt)*) => {
        #[guard]
        $($tokens)*
    };
}

guarded! {
    pub(crate) fn job<T>(number: T) -> T where T: Copy {
        println!("in job");
        number
    }
}

fn main() {
    println!("out {}", job(1));
}
