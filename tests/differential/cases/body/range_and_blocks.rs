#[guard]
fn job(a: u8) -> std::ops::Range<u8> {
    println!("in job");
    { a }..{ a + 3 }
}

fn main() {
    println!("out {:?}", job(1));
}
