pub struct S(pub u8);

impl S {
    #[guard]
    pub fn job(&self) {
        self.0 = 1;
    }
}
