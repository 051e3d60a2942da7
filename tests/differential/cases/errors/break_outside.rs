#[guard]
pub fn job() {
    break;
}
