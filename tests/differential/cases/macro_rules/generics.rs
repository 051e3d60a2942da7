macro_rules! job {
    ($name:ident<$($parameter:ident: $bound:path),*>($argument:ident: $type:ty)) => {
        #[guard]
        fn $name<$($parameter: $bound),*>($argument: $type) -> $type {
            println!("in {}", stringify!($name));
            $argument
        }
    };
}

job!(job<T: Copy>(number: T));

fn main() {
    println!("out {}", job(1));
}
