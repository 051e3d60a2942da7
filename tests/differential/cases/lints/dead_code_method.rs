pub struct S;

impl S {
    #[guard]
    fn job(&self) {
        println!("job");
    }
}
