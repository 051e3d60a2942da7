#[guard]
pub fn job() -> u8 {
    return 3;
    println!("never");
}
