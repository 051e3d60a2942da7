#[deprecated(note = "old")]
#[guard]
pub fn job() {}

pub fn call() {
    job();
}
