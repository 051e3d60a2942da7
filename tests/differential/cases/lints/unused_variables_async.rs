#[guard]
pub async fn job(unused: u8, (a, b): (u8, u8), _fine: u8) {
    let local = a;
}
