#[guard]
#[allow(unused_parens)]
fn job() -> (Result<u8, String>) {
    println!("in job");
    Err("no".into())
}

fn main() {
    println!("out {:?}", job());
}
