#[deprecated(note = "old")]
pub fn old() {}

#[guard]
pub fn job() {
    old();
}
