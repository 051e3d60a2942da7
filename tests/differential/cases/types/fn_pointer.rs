#[guard]
fn job() -> fn(&str) -> usize {
    println!("in job");
    |text| text.len()
}

fn main() {
    println!("out {}", job()("abc"));
}
