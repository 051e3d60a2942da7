#[guard]
pub fn job() -> u8 {
    let mut number = 1;
    number = 2;
    number = 3;
    number
}
