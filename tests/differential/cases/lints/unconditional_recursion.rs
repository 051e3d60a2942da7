#[guard]
pub fn job() -> u8 {
    inner()
}

fn inner() -> u8 {
    inner()
}
