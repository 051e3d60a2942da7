#[guard]
pub fn job() -> impl std::fmt::Debug {
    "7".parse().unwrap()
}
