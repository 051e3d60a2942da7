use std::convert::Infallible;

#[guard]
fn job(fail: bool) -> Result<Infallible, String> {
    println!("in job");
    if fail {
        return Err("failed".into());
    }
    loop {}
}

fn main() {
    println!("out {:?}", job(true));
}
