pub struct S(pub String);

impl S {
    #[guard]
    pub fn job(&self) -> String {
        self.0
    }
}
