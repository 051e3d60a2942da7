#[guard]
#[expect(dead_code)]
fn job() {
    println!("job");
}
