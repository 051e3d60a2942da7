#[guard]
fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    println!("in main");
    Err("no disk")?;
    Ok(())
}
