pub struct S;

impl S {
    #[guard]
    pub async fn job(&mut self) {
        self.missing().await
    }
}
