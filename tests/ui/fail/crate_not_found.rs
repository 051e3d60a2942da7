#[guard_runtime::locked_pipeline(lock = "a.lock", log = "a.log", level = "warn", crate = ::nowhere)]
fn main() -> Result<(), String> {
    Ok(())
}
