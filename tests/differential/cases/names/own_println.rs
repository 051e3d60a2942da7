macro_rules! println {
    ($($tokens:tt)*) => { std::println!("in own {}", format_args!($($tokens)*)) };
}

#[guard]
fn main() {
    println!("main");
}
