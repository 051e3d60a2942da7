#[must_use]
#[guard]
pub fn job() -> u8 {
    7
}

pub fn call() {
    job();
}
