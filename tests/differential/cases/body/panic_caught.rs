#[guard]
fn job() {
    println!("in job");
    panic!("no");
}

fn main() {
    println!("out {}", std::panic::catch_unwind(job).is_err());
}
