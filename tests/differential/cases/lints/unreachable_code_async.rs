#[guard]
pub async fn job() -> u8 {
    return 3;
    println!("never");
}
