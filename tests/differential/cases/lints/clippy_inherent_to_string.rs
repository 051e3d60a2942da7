pub struct S;

impl S {
    #[guard]
    pub fn to_string(&self) -> String {
        "s".into()
    }
}
