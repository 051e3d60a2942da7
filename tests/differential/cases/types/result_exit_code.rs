use std::process::ExitCode;

#[guard]
fn main() -> Result<ExitCode, String> {
    println!("in main");
    Ok(ExitCode::from(9))
}
