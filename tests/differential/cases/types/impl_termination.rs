use std::process::{ExitCode, Termination};

#[guard]
fn main() -> impl Termination {
    println!("in main");
    ExitCode::from(8)
}
