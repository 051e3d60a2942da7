//@ edition: 2021
#![warn(rust_2024_compatibility)]

#[guard(backups = 3)]
pub fn job(text: &str) -> Result<usize, std::num::ParseIntError> {
    let number: usize = text.parse()?;
    Ok(number)
}
