type Result<T> = std::result::Result<T, String>;

#[guard]
fn job() -> Result<u8> {
    println!("in job");
    Err("no".to_owned())?;
    Ok(1)
}

fn main() {
    println!("out {:?}", job());
}
