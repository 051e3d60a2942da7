macro_rules! job {
    ($($pattern:pat => $type:ty),*; $value:expr) => {
        #[guard]
        fn job($($pattern: $type),*) -> u8 {
            println!("in job");
            $value
        }
    };
}

job!((a, _) => (u8, u8), [b, ..] => [u8; 3], _ => String, mut c => u8; { c += 1; a + b + c });

fn main() {
    println!("out {}", job((1, 2), [3, 4, 5], String::new(), 6));
}
