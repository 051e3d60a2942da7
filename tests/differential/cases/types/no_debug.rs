struct NoDebug;

#[guard]
fn job(fine: bool) -> Result<u8, NoDebug> {
    println!("in job");
    if fine { Ok(1) } else { Err(NoDebug) }
}

fn main() {
    println!("out {} {}", job(true).is_ok(), job(false).is_ok());
}
