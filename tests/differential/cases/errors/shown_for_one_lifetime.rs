use std::fmt;

pub struct Error<'a>(pub &'a str);

impl fmt::Debug for Error<'static> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

#[guard]
pub fn job(text: &str) -> Result<(), Error<'_>> {
    Err(Error(text))
}
