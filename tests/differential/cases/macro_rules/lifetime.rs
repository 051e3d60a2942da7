macro_rules! job {
    ($life:lifetime) => {
        #[guard]
        fn job<$life>(text: &$life str) -> &$life str {
            println!("in job");
            text.trim()
        }
    };
}

job!('a);

fn main() {
    println!("out {}", job(" a "));
}
