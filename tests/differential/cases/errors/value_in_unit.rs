#[guard]
pub fn job() {
    7
}
