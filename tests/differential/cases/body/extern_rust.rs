#[guard]
extern "Rust" fn job() {
    println!("in job");
}

fn main() {
    job();
}
