#[guard]
pub fn job<lower>(value: lower) -> lower {
    value
}
