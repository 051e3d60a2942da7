#![deny(clippy::all, clippy::pedantic, warnings)]
#![allow(clippy::must_use_candidate, clippy::missing_errors_doc)]
//! Nothing of ours is told.

use std::sync::Arc;

/// Documented.
pub struct S(u8);

impl S {
    /// Documented.
    #[guard(backups = 3, max_size = "4KB", wait = "3s", level = "warn", console_level = "error", tee = "stdout")]
    pub fn job(&self, number: u8) -> Result<u8, String> {
        if number == 3 {
            return Err("three".into());
        }
        Ok(number + self.0)
    }

    /// Documented.
    #[guard]
    pub async fn later(self: &Arc<Self>, numbers: &[u8]) -> Result<u8, std::num::ParseIntError> {
        std::future::ready(()).await;
        let number: u8 = "7".parse()?;
        Ok(number + self.0 + numbers[0])
    }

    /// Documented.
    #[guard]
    pub fn unit(&mut self) {
        self.0 += 1;
    }
}
