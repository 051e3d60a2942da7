#[guard]
fn job() {
    println!("job");
}
