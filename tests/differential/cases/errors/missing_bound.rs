#[guard]
pub fn job<T>(value: T) -> String {
    value.to_string()
}
