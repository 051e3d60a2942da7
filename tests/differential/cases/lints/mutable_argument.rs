#![deny(warnings)]

pub struct Settings {
    pub verbose: bool,
}

#[guard]
pub fn job(mut settings: Settings) -> bool {
    settings.verbose = true;
    settings.verbose
}
