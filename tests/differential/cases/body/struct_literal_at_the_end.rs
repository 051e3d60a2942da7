#[derive(Debug)]
struct P {
    a: u8,
}

#[guard]
fn job(a: u8) -> P {
    println!("in job");
    P { a }
}

fn main() {
    println!("out {:?}", job(1));
}
