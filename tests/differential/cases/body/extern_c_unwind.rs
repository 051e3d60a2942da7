#[guard]
extern "C-unwind" fn job() {
    println!("in job");
}

fn main() {
    job();
}
