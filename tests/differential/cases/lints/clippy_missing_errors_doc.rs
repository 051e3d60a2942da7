#![warn(clippy::missing_errors_doc, clippy::missing_panics_doc, clippy::must_use_candidate)]

/// Documented.
#[guard]
pub fn job() -> Result<u8, String> {
    let number: u8 = "7".parse().unwrap();
    Ok(number)
}

/// Documented.
#[guard]
pub fn number() -> u8 {
    7
}
