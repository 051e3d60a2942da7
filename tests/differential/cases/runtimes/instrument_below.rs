#[guard]
#[tracing::instrument(skip(b), ret, err)]
fn job(a: u8, (b, c): (u8, u8)) -> Result<u8, String> {
    println!("in job");
    Ok(a + b + c)
}

fn main() {
    println!("out {:?}", job(1, (2, 3)));
}
