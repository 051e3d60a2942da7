#[guard]
pub fn job() {
    let _: u8 = "7".parse()?;
}
