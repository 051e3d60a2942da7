use std::process::ExitCode;

#[guard]
fn main() -> ExitCode {
    println!("in main");
    ExitCode::from(7)
}
