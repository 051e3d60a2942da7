#![allow(non_upper_case_globals, dead_code)]

static guard: u8 = 0;
static value: u8 = 0;
static result: u8 = 0;
const future: u8 = 0;

#[guard]
async fn job(_: u8) -> Result<u8, u8> {
    println!("in job");
    Ok(guard + value + result + future)
}

fn main() {
    println!("out {:?}", futures::executor::block_on(job(1)));
}
