pub struct Settings {
    pub verbose: bool,
}

#[guard]
pub fn job(mut settings: Settings, mut number: u8) {
    settings.verbose = true;
    number = 3;
}
