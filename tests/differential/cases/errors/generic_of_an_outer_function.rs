#[guard]
pub fn job<T: Default>() -> T {
    fn inner() -> T {
        T::default()
    }
    inner()
}
