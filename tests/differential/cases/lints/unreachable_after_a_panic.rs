#[guard]
pub fn job() {
    panic!("no");
    println!("never");
}
