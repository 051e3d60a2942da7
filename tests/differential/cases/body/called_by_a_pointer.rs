#[guard]
fn job(number: u8) -> u8 {
    println!("in job");
    number
}

fn main() {
    let call: fn(u8) -> u8 = job;
    println!("out {:?}", [1, 2].map(call));
}
