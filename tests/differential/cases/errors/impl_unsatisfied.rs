#[guard]
pub fn job() -> impl std::fmt::Display {
    vec![1]
}
