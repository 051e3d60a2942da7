macro_rules! inner {
    ($name:ident $body:block) => {
        #[guard]
        fn $name() -> u8 $body
    };
}

macro_rules! outer {
    ($body:block) => {
        inner!(job $body);
    };
}

outer!({
    println!("in job");
    return 3;
});

fn main() {
    println!("out {}", job());
}
