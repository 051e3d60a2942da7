mod inner {
    macro_rules! job {
        ($visibility:vis $name:ident) => {
            #[guard]
            $visibility fn $name() {
                println!("in {}", stringify!($name));
            }
        };
    }

    job!(pub one);
    job!(pub(crate) two);
    job!(pub(in crate::inner) three);
    job!(four);

    pub fn all() {
        three();
        four();
    }
}

fn main() {
    inner::one();
    inner::two();
    inner::all();
}
