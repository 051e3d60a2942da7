#[guard]
pub fn one() {
    break;
}

#[guard]
pub fn two() {
    let _: u8 = "7".parse()?;
}

#[guard]
pub async fn three() {
    let _: u8 = "7".parse()?;
}
