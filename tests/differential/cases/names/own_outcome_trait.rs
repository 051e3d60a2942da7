trait Outcome {
    fn outcome(&self) -> u8;
}

impl<T> Outcome for T {
    fn outcome(&self) -> u8 {
        3
    }
}

#[guard]
fn job() -> Result<u8, u8> {
    println!("in job");
    Ok(7.outcome())
}

fn main() {
    println!("out {:?} {}", job(), 1.outcome());
}
