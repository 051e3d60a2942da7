#[guard]
pub fn job() {
    println!("{}");
    unknown!();
}
