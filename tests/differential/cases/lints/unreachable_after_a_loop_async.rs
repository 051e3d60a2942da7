#[guard]
pub async fn job() {
    loop {}
    println!("never");
}
