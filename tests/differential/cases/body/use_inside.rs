struct MyError;

#[guard]
fn job() -> Result<(), MyError> {
    use std::io::Result;
    fn inner() -> Result<u8> {
        Ok(7)
    }
    println!("in job {}", inner().unwrap());
    Ok(())
}

fn main() {
    println!("out {}", job().is_ok());
}
