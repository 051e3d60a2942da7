macro_rules! job {
    ($name:ident, $returned:ty, $value:expr) => {
        #[guard]
        fn $name() -> $returned {
            println!("in {}", stringify!($name));
            $value
        }
    };
}

job!(number, u8, 7);
job!(result, Result<u8, String>, Err("no".into()));
job!(shown, impl std::fmt::Debug, (1, 2));
job!(listed, Vec<impl std::fmt::Debug>, vec![1]);
job!(boxed, Box<dyn Fn(u8) -> u8>, Box::new(|number| number));

fn main() {
    println!("out {} {:?} {:?} {:?} {}", number(), result(), shown(), listed(), boxed()(3));
}
