pub struct S(usize);

impl S {
    #[guard]
    pub fn job(&self, mut n: usize, unused: u8) -> impl Fn(&str) -> usize {
        let local = 3;
        move |text| text.len() + n + self.0
    }
}
