#[expect(dead_code)]
#[guard]
fn job() {
    println!("job");
}
