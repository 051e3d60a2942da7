#[guard]
#[tracing::instrument(skip_all, fields(a))]
async fn job(a: u8, mut numbers: Vec<u8>) -> Result<u8, String> {
    numbers.push(a);
    println!("in job");
    Ok(numbers.len() as u8)
}

fn main() {
    println!("out {:?}", futures::executor::block_on(job(1, vec![])));
}
