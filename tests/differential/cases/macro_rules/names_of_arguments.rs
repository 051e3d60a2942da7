macro_rules! job {
    ($name:ident($($argument:ident: $type:ty),*) $body:expr) => {
        #[guard]
        fn $name($($argument: $type),*) -> u8 {
            let a = 100;
            println!("in {} {a}", stringify!($name));
            $body
        }
    };
}

job!(sum(a: u8, b: u8) a + b);

fn main() {
    println!("out {}", sum(1, 2));
}
