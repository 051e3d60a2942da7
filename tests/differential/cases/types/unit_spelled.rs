#[guard]
fn job() -> () {
    println!("in job");
}

fn main() {
    job();
}
