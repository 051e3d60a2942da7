use anyhow::Context;

#[guard]
fn main() -> anyhow::Result<()> {
    println!("in main");
    let _: u8 = "seven".parse().context("the number")?;
    Ok(())
}
