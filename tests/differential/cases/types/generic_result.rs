#[guard]
fn job<T, E>(result: Result<T, E>) -> Result<T, E> {
    println!("in job");
    Ok(result?)
}

fn main() {
    println!("out {:?} {:?}", job::<u8, u8>(Ok(1)), job::<u8, u8>(Err(2)));
}
