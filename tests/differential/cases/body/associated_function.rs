struct S<T>(T);

impl<T: Default> S<T> {
    #[guard]
    fn new() -> Self {
        println!("in new");
        Self(T::default())
    }

    #[guard]
    fn value() -> T {
        println!("in value");
        T::default()
    }
}

fn main() {
    println!("out {} {}", S::<u8>::new().0, S::<u8>::value());
}
