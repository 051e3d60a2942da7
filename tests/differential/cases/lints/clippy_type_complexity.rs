#[guard]
pub fn job() -> Option<Box<dyn Fn(Vec<Option<Result<u8, String>>>) -> Result<Vec<Option<u8>>, (u8, String)>>> {
    None
}
