#[guard]
fn job() {
    print!("job, ");
}

fn main() {
    job();
    println!("after");
}
