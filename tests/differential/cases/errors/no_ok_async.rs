#[guard]
pub async fn job() -> Result<(), std::io::Error> {
    std::fs::remove_file("a")?;
}
