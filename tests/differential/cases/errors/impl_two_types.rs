#[guard]
pub fn job(a: bool) -> impl std::fmt::Debug {
    if a {
        return 1;
    }
    "two"
}
