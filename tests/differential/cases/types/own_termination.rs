use std::process::{ExitCode, Termination};

struct Ends(u8);

impl Termination for Ends {
    fn report(self) -> ExitCode {
        println!("out report");
        ExitCode::from(self.0)
    }
}

#[guard]
fn main() -> Ends {
    println!("in main");
    Ends(5)
}
