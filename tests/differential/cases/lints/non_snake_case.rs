#[guard]
pub fn Job(Argument: u8) -> u8 {
    let Local = Argument;
    Local
}
