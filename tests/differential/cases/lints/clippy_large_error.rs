#[guard]
pub fn job() -> Result<(), [u64; 64]> {
    Err([0; 64])
}
