#[guard]
pub fn job() -> Result<(), ()> {
    Err(())
}
