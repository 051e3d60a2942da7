#[guard]
pub unsafe fn job() {}
