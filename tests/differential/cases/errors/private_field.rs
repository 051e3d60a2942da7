mod inner {
    pub struct S(u8);
}

#[guard]
pub fn job(s: inner::S) -> u8 {
    s.0
}
