unsafe fn danger() {}

#[guard]
pub fn job() {
    danger();
}
