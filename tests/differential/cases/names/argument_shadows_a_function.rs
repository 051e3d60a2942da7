fn job() -> u8 {
    3
}

#[guard]
fn outer(job: u8) -> u8 {
    println!("in outer");
    job
}

fn main() {
    println!("out {}", outer(job()));
}
