#[guard]
pub fn job() -> Result<(), std::io::Error> {
    std::fs::remove_file("a")?;
}
