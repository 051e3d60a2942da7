struct S<T>(T);

impl<T: Clone + std::fmt::Debug> S<T> {
    #[guard]
    fn job<const N: usize, U: Into<String>>(&self, text: U) -> [T; N] {
        println!("in job {:?} {}", self.0, text.into());
        [(); N].map(|()| self.0.clone())
    }
}

fn main() {
    println!("out {:?}", S(1).job::<2, _>("x"));
}
