#[guard]
pub fn job(number: u8) -> u8 {
    number
}

pub fn call() {
    job("7");
    job();
}
